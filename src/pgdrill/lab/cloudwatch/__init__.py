"""CloudWatch's metrics and alarms as AWS documents them, without an emulator: plain data in, decisions out, no clock."""
