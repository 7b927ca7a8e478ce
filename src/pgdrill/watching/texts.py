"""What each alarm says to a person whom it has woken. The words in braces are filled in for the database or cell.

`what` happened, `since` when, what it `means`, what to `do`; the section of the runbook has the alarm's own name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    what: str
    since: str
    means: str
    do: str


def drill(wanted: str) -> str:
    """Return the command that has the deployed system drill a point: nobody else reaches its instances."""
    given = """{{"due_at":"'$(date -u +%FT%TZ)'","database":"{name}","wanted":""" + f'"{wanted}"}}}}'
    machine = "arn:aws:states:{region}:{account}:stateMachine:{stem}-drill"
    return f"`aws stepfunctions start-execution --region {{region}} --state-machine-arn {machine} --input '{given}'`"


def unheard(topic: str) -> Text:
    """Return what is said, at the other topic, of one that did not reach somebody.

    Source: SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch", on NumberOfNotificationsFailed.
    """
    return Text(
        f"{{region}}: what the topic {topic} told did not reach one who is subscribed to it.",
        "the last hour; the value is how many deliveries failed, of an HTTPS endpoint each try",
        "an HTTPS endpoint, queue or mailbox was not told. Nobody counts a subscription that was never confirmed, mail"
        " that a server took and dropped, or what a chat makes of it.",
        "see who it is, mend or remove it: `aws sns list-subscriptions-by-topic --region {region} --topic-arn"
        f" arn:aws:sns:{{region}}:{{account}}:{{stem}}-{topic}`. Nobody is told that it is over: tell it something.",
    )


AGE = "the value is its age in seconds; it should be under {threshold}"

TEXTS = {
    "snapshot-late": Text(
        "{name}: no usable snapshot in {region} of the last slot.",
        "the value is how old the newest is, in seconds; one was due after {threshold}",
        "a restore from snapshots loses more than planned. The PITR window may still be whole: see restorable-late.",
        "`pgdrill status --database {name}`; then the last execution of the state machine take, and take one now: `pgdrill point take --database {name}`.",
    ),
    "backups-shortened": Text(
        "{name}: automated backups are off, or kept for fewer days than planned.",
        "the value is the days kept now; the plan says {threshold}",
        "at 0 days there is no point-in-time recovery, and RDS has deleted the automated snapshots.",
        "find who changed the instance (CloudTrail, ModifyDBInstance) and set the retention back.",
    ),
    "restorable-late": Text(
        "{name}: the latest restorable time does not advance.",
        AGE,
        "what is written now would be lost with the instance, beyond the five minutes of RDS.",
        "look at the instance's events and storage in RDS; if it goes on, open a case with AWS and take a snapshot.",
    ),
    "quota-near": Text(
        "{region}: less room for manual snapshots than a day's points take.",
        "the value is how many still fit; {threshold} are taken in a day, of all databases",
        "soon retention is shortened to one a day, so that new snapshots are not refused.",
        "raise the quota L-272F1212 in {region}, or delete other people's snapshots; see `pgdrill plan check --online`.",
    ),
    "retention-shortened": Text(
        "{region}: points were deleted before their time to make room for new ones.",
        "the value is how many, in the last minutes",
        "the 30 days of the plan are not kept; at least one point a day is.",
        "raise the quota L-272F1212 in {region}; what was deleted is gone.",
    ),
    "copy-late": Text(
        "{name}: no copy in {region} of a point that should have one.",
        "the value is how old the newest copy's slot is, in seconds; it should be under {threshold}",
        "the loss of {other} would lose more than planned.",
        "`pgdrill point list --cell dr --database {name}`; the machine copy says what RDS refused. A key of {other} is the usual cause.",
    ),
    "copy-waiting": Text(
        "{region}: a point has waited too long for its copy: late, refused, or cancelled on the way.",
        "the value is its age in seconds; copies are late after {threshold}",
        "copies do not keep up, or one fails again and again.",
        "`pgdrill point list --cell dr --database DATABASE` of each, and RDS's events of that snapshot in both regions.",
    ),
    "copies-queue": Text(
        "{region}: the queue of copies grows.",
        "the value is how many wait; more than {threshold} is more than two rounds",
        "copies will be late soon.",
        "raise copies.in_flight, at most 20, or see who else copies snapshots in this account.",
    ),
    "export-late": Text(
        "{name}: no good export of the last point that was to be archived.",
        "the value is how old the newest exported point is, in seconds; it should be under {threshold}",
        "the archive has a gap. Recovery is not touched: exports cannot be restored.",
        "`pgdrill export status --database {name}`; role, bucket and key of exports are the usual causes.",
    ),
    "export-incomplete": Text(
        "{name}: the newest export lacks tables that production has.",
        "the value is how many",
        "RDS calls it complete all the same. The archive, and the second witness, are not.",
        "`pgdrill export status --database {name}` names them; grant the master user SELECT, or list them in exports.left_out.",
    ),
    "recovery-running-long": Text(
        "{name}: a restore has run for longer than the objective, and is not over.",
        "the value is the seconds since RDS was asked; the objective is {threshold}",
        "a recovery today would miss its objective.",
        "look at the execution of the machine drill and at the instance's events; leave it, the time is evidence.",
    ),
    "recovery-too-slow": Text(
        "{name}: the last drill's recovery took longer than the objective.",
        "the value is what it took, in seconds; the objective is {threshold}",
        "a recovery would miss its objective.",
        "`pgdrill evidence show latest --cell {cell} --database {name}` has the stages; a larger class, or fewer gigabytes, is what helps.",
    ),
    "drill-failed": Text(
        "{name}: a drill in {region} failed, and none of a point as new has passed since.",
        "its verdict; the value is how many kinds of point failed: snapshots, copies, moments",
        "what was restored is not what was backed up, or did not restore. Treat backups as unproved since the last pass.",
        "`pgdrill evidence list --cell {cell} --database {name}`. Keep what there is. Then drill an older point: "
        + drill("oldest"),
    ),
    "drill-inconclusive": Text(
        "{name}: the last drill in {region} came to no conclusion.",
        "its verdict",
        "nothing was proved. The backup may be well.",
        "`pgdrill evidence show latest --cell {cell} --database {name}` says what could not run. Repeat it: "
        + drill("latest"),
    ),
    "drill-overdue": Text(
        "{name}: no drill has passed in {region} for too long.",
        "the value is the seconds since the last one that did; one is due within {threshold}",
        "backups are unproved since then.",
        "see the schedule and the last executions of the machine drill. Drill: " + drill("latest"),
    ),
    "drill-stuck": Text(
        "{name}: a drill in {region} is not over although its lease is.",
        "the value is the seconds since it began; the lease is {threshold}",
        "its instance costs money, and the next drill finds the place taken.",
        "look at its execution; the reaper deletes the instance within a quarter of an hour, else: `pgdrill drill reap --cell {cell}`.",
    ),
    "drill-skipped": Text(
        "{name}: drills in {region} were skipped again and again.",
        "the value is how many in turn",
        "a freeze keeps backups from being proved.",
        "see drill.freeze in the plan. Drill all the same: " + drill("latest"),
    ),
    "reaper-acted": Text(
        "{name}: the reaper deleted a temporary instance in {region} that its drill had left.",
        "the last minutes",
        "a drill ended without its last step. Nothing of production is touched.",
        "look at the execution that was aborted, and at what it was doing.",
    ),
    "reaper-failed": Text(
        "{name}: a temporary instance in {region} could not be deleted.",
        "the last minutes; it is tried again every quarter of an hour",
        "it costs money, and holds restored data longer than it should.",
        "`pgdrill drill reap --cell {cell}` says why; delete it by hand if it carries pgdrill's tags.",
    ),
    "ledger-silent": Text(
        "{name}: no beat of the ledger has been witnessed.",
        "the value is the seconds since the last; there should be one a minute, and none is missed for {threshold}",
        "production does not answer, refuses the sealing role, or its secret is wrong. RPO is not proved meanwhile.",
        "is production up? Then the log of the function beat; a changed password is the usual cause.",
    ),
    "ledger-forked": Text(
        "{name}: numbers of the ledger were beaten again.",
        "the beats of the last day",
        "production went back to an earlier state: it was recovered, or replaced.",
        "find out who did that; if nobody did, stop writing and keep every snapshot.",
    ),
    "key-unusable": Text(
        "{region}: a key of pgdrill's is disabled, will be deleted, or is gone.",
        "the value is how many; `pgdrill doctor` names them",
        "without storage_key or a database's own, what it encrypts cannot be restored, and a deleted key cannot be had"
        " back; without mac_key no drill can log in, without signing_key no evidence is signed, without messages_key"
        " the topics can tell nothing.",
        "if it will be deleted: `aws kms cancel-key-deletion --region {region} --key-id KEY`, which leaves it disabled;"
        " then `aws kms enable-key --region {region} --key-id KEY`. Then ask who did it.",
    ),
    "secret-unusable": Text(
        "{region}: a secret that pgdrill reads is gone or will be deleted.",
        "the value is how many of those that the plan names",
        "beats and seals fail, and a recovered instance would get no password.",
        "find it: `aws secretsmanager list-secrets --region {region} --include-planned-deletion`; then"
        " `aws secretsmanager restore-secret --region {region} --secret-id SECRET`.",
    ),
    "schedule-disabled": Text(
        "{region}: a schedule of pgdrill's is disabled.",
        "the value is how many",
        "what it starts does not happen.",
        "find it: `aws scheduler list-schedules --region {region} --state DISABLED`; enable it, or deploy again. A freeze is drill.freeze.",
    ),
    "function-errors": Text(
        "{region}: the function {name} fails again and again.",
        "the last five minutes; the value is how often",
        "what it does is not done.",
        "its log group has the error, with a hint.",
    ),
    "function-throttled": Text(
        "{region}: the function {name} is throttled.",
        "the last five minutes; the value is how often",
        "the account's concurrency is used up, by whomever. State machines try again for a minute.",
        "see ConcurrentExecutions of the account; raise the quota or find what takes it.",
    ),
    "function-slow": Text(
        "{region}: the function {name} nearly ran out of time.",
        "the last five minutes; the value is what it took, in milliseconds; at {threshold} it is close",
        "the next run may be cut off.",
        "see its log for what it waited for; a closed network looks like this too.",
    ),
    "machine-failed": Text(
        "{region}: an execution of the state machine {name} failed, timed out or was aborted.",
        "the last five minutes; the value is how many",
        "what it was to do is not done, unless a later execution made up for it.",
        "open the execution: its last event has the error and what to look at.",
    ),
    "schedule-failing": Text(
        "{region}: a schedule could not start its state machine.",
        "the last five minutes; the value is how often",
        "what it starts does not happen, or late: the scheduler tries again for as long as the schedule says.",
        "see the queue dead-letters, whose messages name schedule and error; the role scheduler is the usual cause.",
    ),
    "undelivered": Text(
        "{region}: something was set aside: a schedule started nothing, or an event reached nobody.",
        "the value is how many messages lie in the queue dead-letters, for 14 days at most",
        "somebody was not told, or something was not started. What is due again was made up for since.",
        "read them: each names its rule or schedule and the error. Delete them when you know why, and the alarm ends.",
    ),
    "backups-unheard": unheard("backups"),
    "drills-unheard": unheard("drills"),
    "other-cell-silent": Text(
        "{region} has heard nothing of {other}.",
        "the value is the seconds since its last inventory; one comes every five minutes, none late by {threshold}",
        "the region may be lost, or only the way between the cells.",
        "is {other} up? If not, this is the day: see the runbook's recovery in {region}. Else see machine watch there.",
    ),
    "storage-dear": Text(
        "{region}: what points take costs more than the plan leaves for it.",
        "the value is dollars a month, estimated; {threshold} are what is planned and half of what cost.ceiling leaves",
        "with all else as planned both cells may pass the ceiling; perhaps something is kept that should not be."
        " Not in it: exports, logs of the PITR window, replicated automated backups.",
        "`pgdrill plan explain`; then what is kept: `pgdrill point list --cell {cell} --database DATABASE`.",
    ),
    "canary-missing": Text(
        "{region}: the daily canary did not arrive where messages are awaited.",
        "the value is the seconds since the last one; it should be under {threshold}",
        "the machine canary, a topic or the way to its queue is broken. Of mail, endpoints and chats it tells nothing.",
        "see the last executions of the machine canary, then policies and keys of both topics and the queue canary.",
    ),
    "unseen": Text(
        "{region}: the watch could not look at everything.",
        "the value is how many questions nobody answered",
        "what is not seen may be wrong without an alarm.",
        "the log of the function watch names them; a permission or an endpoint is the usual cause.",
    ),
    "watch-silent": Text(
        "{region}: the watch does not report.",
        "two rounds of five minutes",
        "nothing here is looked at any more; every alarm on what it measures follows, and says nothing new.",
        "see the last executions of the machine watch; if there are none, its schedule.",
    ),
}
