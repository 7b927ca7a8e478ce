"""The demo: a production that lives, three drills of its backups, and what they prove. All on this machine.

Deploys the Pulumi program into a lab of its own that enforces policies, and fires the deployed schedules: what takes,
copies, restores, examines and judges are its state machines and functions. Only the shop and the damage are staged.
Leaves nothing but the reports.
"""
