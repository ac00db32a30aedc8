package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Where it is noted which pod has which address and which process: a folder that goes with the node.
const state = "/run/pods"

// What is noted of a pod.
type pod struct {
	Address string
	Process int
}

// add gives a pod its address and starts the process that opens its ports.
func add(container, namespace, device string) ([]byte, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	address, err := claim(container)
	if err != nil {
		return nil, err
	}
	command := exec.Command("/proc/self/exe", namespace, address)
	command.Env = []string{}
	// The runtime waits for the end of the plugin and whatever it started in its session.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	note, err := json.Marshal(pod{address, command.Process.Pid})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(state, container), note, 0o600); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{map[string]any{"name": device, "sandbox": namespace}},
		"ips":        []any{map[string]any{"interface": 0, "address": address + "/8"}},
	})
}

// claim finds an address that no other pod of this node has: 127.64.0.1 to 127.127.255.254, by the container's name first.
func claim(container string) (string, error) {
	hash := fnv.New32a()
	hash.Write([]byte(container))
	for start, attempt := hash.Sum32(), uint32(0); attempt < 1000; attempt++ {
		number := start + attempt
		address := fmt.Sprintf("127.%d.%d.%d", 64+number>>16%64, number>>8%256, 1+number%254)
		file, err := os.OpenFile(filepath.Join(state, address), os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return address, file.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", errors.New("no free address")
}

// remove may be asked again, and for pods that never came to be.
func remove(container string) {
	path := filepath.Join(state, container)
	note, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var known pod
	if json.Unmarshal(note, &known) == nil && known.Process > 1 {
		syscall.Kill(known.Process, syscall.SIGKILL)
		os.Remove(filepath.Join(state, known.Address))
	}
	os.Remove(path)
}
