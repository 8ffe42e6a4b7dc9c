# Waits until nobody holds the other end of its input, and then ends everything that a cluster has started, and removes
# what it left: processes, mounts, cgroups and files. $1 is the cluster's folder, $2 how the names of its cgroups begin.
cat > /dev/null

# Its processes are known by the folder in their environment. One may be starting another: until there are none.
tries=0
while [ "$tries" -lt 200 ]; do
    found=
    for process in /proc/[0-9]*; do
        if grep -qsF "$1" "$process/environ"; then
            kill -KILL "${process#/proc/}" 2> /dev/null && found=yes
        fi
    done
    [ -n "$found" ] || break
    tries=$((tries + 1))
    sleep 0.05
done
[ -z "$found" ] || echo "of $1 processes still run" >&2

# The tasks' secrets are mounted there. The last one may lie in the first.
grep -F " $1/" /proc/mounts | cut -d ' ' -f 2 | sort -r | while read -r point; do
    umount "$point"
done

# In version 2 the clients' cgroups have names of ours; in version 1 each task's has the name of its allocation.
for name in "$2" $(ls -d "$1"/*/alloc/*/ 2> /dev/null | xargs -r -n 1 basename); do
    find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} \; 2> /dev/null
done

rm -rf "$1"
