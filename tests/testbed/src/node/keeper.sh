# Runs a node in namespaces of its own, ends it whole, and takes its branches of the cgroup hierarchies away.
# $1 is the script of the first process in there, the rest are the folders of the branches.
inside=$1
shift
unshare --mount --pid --fork --mount-proc --kill-child=KILL --propagation private sh -c "$inside" node &
outer=$!

# The end of the first process of a pid namespace is the end of all others, and `unshare` ends after them.
end() {
    while kill -0 "$outer" 2>/dev/null; do
        first=
        read -r first 2>/dev/null <"/proc/$outer/task/$outer/children"
        if [ -n "$first" ]; then
            kill -s KILL $first
            break
        fi
        sleep 0.05
    done
}
trap end TERM

while kill -0 "$outer" 2>/dev/null; do
    wait "$outer"
    status=$?
done
trap '' TERM
patience=100
for branch do
    while [ -d "$branch" ] && [ "$patience" -gt 0 ]; do
        find "$branch" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.05
        patience=$((patience - 1))
    done
done
exit "$status"
