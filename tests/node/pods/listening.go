package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
)

// The state of a socket that listens, in the tables of the kernel.
const listen = "0A"

// listening gives the TCP ports on which somebody in this thread's namespace listens at address or at every address. What
// listens on 127.0.0.1 alone is not counted: nobody could reach it in a cluster either.
func listening(address string) map[uint16]bool {
	ports := map[uint16]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		file, err := os.Open("/proc/thread-self/net/" + table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if port, ok := reachable(lines.Text(), address); ok {
				ports[port] = true
			}
		}
		file.Close()
	}
	return ports
}

// reachable reads a line such as `0: 0100007F:1F90 00000000:0000 0A …`: number, local, remote, state. Addresses are four
// bytes, or four times four, in the order of the machine.
func reachable(line, address string) (uint16, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[3] != listen {
		return 0, false
	}
	local, port, _ := strings.Cut(fields[1], ":")
	if strings.Trim(local, "0") != "" && !strings.EqualFold(local, kernel(address)) {
		return 0, false
	}
	number, err := strconv.ParseUint(port, 16, 16)
	return uint16(number), err == nil
}

func kernel(address string) string {
	bytes := net.ParseIP(address).To4()
	if bytes == nil {
		return ""
	}
	var native [4]byte
	binary.BigEndian.PutUint32(native[:], binary.NativeEndian.Uint32(bytes))
	return hex.EncodeToString(native[:])
}
