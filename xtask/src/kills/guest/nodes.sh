# Two memory nodes of 256 MiB each, cgroup v2, no swap.

# perl /run/bound NODE NAME MIB: a hog that may use one node only, by its own policy.
cat >/run/bound <<'P'
my $node = shift;
syscall(238, 2, pack("Q", 1 << $node), 64) == 0 or die "set_mempolicy: $!";
exec "perl", "/run/hog", @ARGV;
P

begin v2-cpuset
unit hog AllowedMemoryNodes=1 -- perl /run/hog hog 0
gone hog
keep

begin v2-mempolicy
unit hog -- perl /run/bound 1 hog 0
gone hog
keep

# The bystander's memory is on the other node, and it dies first all the same.
begin v2-cpuset-useless-kill
unit bystander OOMScoreAdjust=700 AllowedMemoryNodes=0-1 -- perl /run/hog bystander 64
sleep 4
unit hog AllowedMemoryNodes=1 -- perl /run/hog hog 0
gone hog
did result bystander "$(systemctl show -P Result bystander)"
keep
