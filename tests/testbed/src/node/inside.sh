# The first process in a node's pid and mount namespaces. Its end is the end of the node.
# NODE is the node's folder, PROGRAMS where its programs are, KUBELET the kubelet, NAME the Node's name, REGISTRY an address.
set -eu
mount --make-rshared /
# Fixed places of the kubelet and containerd; nothing of this is seen outside.
for place in /run /var/log /var/lib; do
    mount -t tmpfs -o mode=755 "node$place" "$place"
done
mkdir -p /var/lib/kubelet /var/log/pods /var/log/containers

# The kubelet sets these for the whole machine unless they are as it wants them. Here it finds files that hold its values.
mkdir /run/settings
while read -r setting value; do
    [ -e "/proc/sys/$setting" ] || continue
    file=/run/settings/$(echo "$setting" | tr / .)
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$setting"
done <<SETTINGS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS

PATH=$PROGRAMS:$PATH
registry "$REGISTRY" >"$NODE/registry.log" 2>&1 &
containerd --config "$NODE/containerd.toml" >"$NODE/containerd.log" 2>&1 &
containerd=$!
socket=/run/containerd/containerd.sock
until ctr -a "$socket" version >/dev/null 2>&1; do
    kill -0 "$containerd"
    sleep 0.02
done
ctr -a "$socket" -n k8s.io images import "$NODE/images.tar" >"$NODE/import.log" 2>&1
# --cloud-provider: it keeps the addresses of the Node as they are; one on loopback it would not take as --node-ip.
"$KUBELET" --config "$NODE/kubelet.json" --kubeconfig "$NODE/kubeconfig" --hostname-override "$NAME" --cloud-provider external \
    --cert-dir /var/lib/kubelet/pki >"$NODE/kubelet.log" 2>&1 &
wait "$!"
