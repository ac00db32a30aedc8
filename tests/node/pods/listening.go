package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// From linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
const (
	dumpByFamily  = 20
	stateListen   = 10
	headerBytes   = 16
	questionBytes = 56
	answerBytes   = 72
)

// listening gives the TCP ports on which somebody in this thread's namespace listens at address or at every address. What
// listens on 127.0.0.1 alone is not counted: nobody could reach it in a cluster either.
//
// The kernel is asked for the sockets that listen. The tables in /proc/net would tell them too, but to print one of them it goes
// through all connections that the machine could have, which takes milliseconds.
func listening(address netip.Addr) (map[uint16]bool, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	ports := map[uint16]bool{}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(socket, question(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return nil, err
		}
		if err := answers(socket, func(local netip.Addr, port uint16) {
			if local.IsUnspecified() || local == address {
				ports[port] = true
			}
		}); err != nil {
			return nil, err
		}
	}
	return ports, nil
}

// question asks for all sockets of a family that listen.
func question(family byte) []byte {
	message := make([]byte, headerBytes+questionBytes)
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], dumpByFamily)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := message[headerBytes:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[4:], 1<<stateListen)
	return message
}

// answers gives address and port of each socket up to the end of a dump.
func answers(socket int, found func(netip.Addr, uint16)) error {
	buffer := make([]byte, 1<<16)
	for {
		length, _, err := unix.Recvfrom(socket, buffer, 0)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:length])
		if err != nil {
			return err
		}
		for _, message := range messages {
			switch {
			case message.Header.Type == unix.NLMSG_DONE:
				return nil
			case message.Header.Type == unix.NLMSG_ERROR:
				return errors.New("the kernel does not tell which sockets listen")
			case len(message.Data) >= answerBytes:
				found(local(message.Data))
			}
		}
	}
}

// local reads where a socket is: family, three bytes, the ports, and the address in as many bytes as it has.
func local(data []byte) (netip.Addr, uint16) {
	port := binary.BigEndian.Uint16(data[4:])
	if data[0] == unix.AF_INET {
		return netip.AddrFrom4([4]byte(data[8:12])), port
	}
	return netip.AddrFrom16([16]byte(data[8:24])).Unmap(), port
}
