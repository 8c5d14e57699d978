"""ansible_runner_test.py DIR: runs a script with ansible-runner's process isolation and
prints what it printed, then how it ended."""
import sys

from ansible_runner.config.runner import RunnerConfig
from ansible_runner.runner import Runner

SCRIPT = """
for n in pid mnt net; do readlink /proc/self/ns/$n; done
touch $0/data/x && echo data=writable
touch $0/shown/x && echo shown=writable
touch $0/readonly/x 2>/dev/null || echo readonly=refused
touch /usr/x 2>/dev/null || echo usr=refused
[ -d $0/hid ] && [ ! -e $0/hid/secret ] && echo secret=hidden
[ -e $0/tests ] || echo others=hidden
echo lib64=$(readlink /lib64)
ls /dev/null | sed s/^/null=/
[ $(ls -d /proc/[0-9]* | wc -l) -lt 9 ] && echo few
pwd
exit 47
"""

base = sys.argv[1]
config = RunnerConfig(
    private_data_dir=base + "/data",
    process_isolation=True,
    process_isolation_executable="bwrap",
    process_isolation_path=base + "/tmp",
    process_isolation_hide_paths=[base + "/hid"],
    process_isolation_show_paths=[base + "/shown"],
    process_isolation_ro_paths=[base + "/readonly"],
    module="ping",
    host_pattern="localhost",
    quiet=True,
)
config.prepare()
# What prepare() made for `ansible`, with a static shell in its place.
program = len(config.command) - config.command[::-1].index("ansible") - 1
config.command[program:] = ["/bin/busybox", "sh", "-c", SCRIPT, base]
runner = Runner(config)
runner.run()
print(runner.stdout.read())
print(f"status={runner.status} rc={runner.rc}")
