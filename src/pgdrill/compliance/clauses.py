"""The clauses that ask for tested backups, and what each demands of the evidence. Data alone.

`says` is our own short wording, not a quotation, unless it stands in quotation marks. `checked` tells whether the
number of the paragraph was seen in the text itself; where it was not, look it up before you quote it.
"""

from pgdrill.compliance import demands
from pgdrill.compliance.answers import Demand
from pgdrill.model import Model


class Clause(Model):
    """One clause, and the demands that together answer it."""

    frame: str
    number: str
    says: str
    demands: tuple[Demand, ...]
    checked: bool = True


CLAUSES: tuple[Clause, ...] = (
    Clause(
        frame="MAS Notice on Technology Risk Management (FSM-N05, formerly 655)",
        number="recovery time objective",
        says="a recovery time objective of not more than 4 hours for each critical system",
        demands=(demands.in_four_hours,),
        checked=False,
    ),
    Clause(
        frame="MAS Notice on Technology Risk Management (FSM-N05, formerly 655)",
        number="recovery testing",
        says="recovery testing validated and documented at least once every 12 months",
        demands=(demands.tested_yearly, demands.unaltered),
        checked=False,
    ),
    Clause(
        frame="MAS Technology Risk Management Guidelines (January 2021)",
        number="8.4",
        says="backups are tested periodically, encrypted, and kept off site; that there is a strategy for it no drill shows",
        demands=(demands.tested, demands.whole, demands.encrypted, demands.elsewhere),
        checked=False,
    ),
    Clause(
        frame="DORA, Regulation (EU) 2022/2554",
        number="11(6)",
        says="continuity and recovery plans are tested at least yearly",
        demands=(demands.tested_yearly,),
    ),
    Clause(
        frame="DORA, Regulation (EU) 2022/2554",
        number="12(1)",
        says="a minimum frequency of the backup, and restoration procedures; whether it and the scope of the backup follow the criticality of the data no drill shows",
        demands=(demands.frequent, demands.within_loss, demands.tested_yearly),
    ),
    Clause(
        frame="DORA, Regulation (EU) 2022/2554",
        number="12(2)",
        says='"Testing of the backup procedures and restoration and recovery procedures and methods shall be undertaken periodically"',
        demands=(demands.tested, demands.unaltered),
    ),
    Clause(
        frame="DORA, Regulation (EU) 2022/2554",
        number="12(3)",
        says='restores run on systems that are "physically and logically segregated from the source"',
        demands=(demands.apart,),
    ),
    Clause(
        frame="DORA, Regulation (EU) 2022/2554",
        number="12(7)",
        says='on recovery, "perform necessary checks, including any multiple checks and reconciliations"',
        demands=(demands.whole, demands.reconciled),
    ),
    Clause(
        frame="SOC 2, Trust Services Criteria",
        number="A1.2",
        says="backup processes and recovery infrastructure are operated to meet the objectives; that they are monitored no drill shows",
        demands=(
            demands.frequent,
            demands.within_loss,
            demands.in_time,
            demands.elsewhere,
            demands.encrypted,
        ),
    ),
    Clause(
        frame="SOC 2, Trust Services Criteria",
        number="A1.3",
        says='recovery procedures are tested; "Tests Integrity and Completeness of Backup Data"',
        demands=(demands.tested, demands.whole),
    ),
    Clause(
        frame="ISO/IEC 27001:2022, Annex A",
        number="A.8.13",
        says='backups are "maintained and regularly tested in accordance with the agreed topic-specific policy on backup"',
        demands=(demands.frequent, demands.tested, demands.whole, demands.within_loss),
    ),
)
