"""The lab deploys the real Pulumi program: every resource that it registers is made in the emulator through boto3.

Nothing about the infrastructure is written twice. A type or property that no entry knows is an error.
"""
