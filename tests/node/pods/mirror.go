package main

import (
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How often the ports of a pod are looked at.
const interval = 25 * time.Millisecond

// How long a connection into a pod may take to come about.
const patience = time.Second

// inside runs work in the network namespace of a pod, one after the other.
type inside chan func()

// mirror opens at address, in the machine's namespace, what the pod listens on, for as long as the process lives.
func mirror(namespace, address string) {
	pod := make(inside)
	go pod.enter(namespace)
	open := map[uint16]net.Listener{}
	place := netip.MustParseAddr(address)
	for ; ; time.Sleep(interval) {
		wanted := pod.ports(place)
		for port, listener := range open {
			if !wanted[port] {
				listener.Close()
				delete(open, port)
			}
		}
		for port := range wanted {
			if open[port] != nil {
				continue
			}
			// A port that cannot be opened now is tried again with the next look.
			if listener, err := net.Listen("tcp4", target(address, port)); err == nil {
				open[port] = listener
				go accept(listener, pod, target(address, port))
			}
		}
	}
}

// enter moves one thread into the namespace and has it do the work there. Only that thread sees the pod's network.
func (pod inside) enter(namespace string) {
	runtime.LockOSThread()
	file, err := os.Open(namespace)
	if err != nil {
		log.Fatal(err)
	}
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		log.Fatal(err)
	}
	file.Close()
	for work := range pod {
		work()
	}
}

func (pod inside) ports(address netip.Addr) map[uint16]bool {
	answer := make(chan map[uint16]bool, 1)
	pod <- func() {
		ports, err := listening(address)
		if err != nil {
			log.Fatal(err)
		}
		answer <- ports
	}
	return <-answer
}

func (pod inside) dial(target string) (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	answer := make(chan result, 1)
	pod <- func() {
		connection, err := net.DialTimeout("tcp4", target, patience)
		answer <- result{connection, err}
	}
	dialled := <-answer
	return dialled.connection, dialled.err
}

func accept(listener net.Listener, pod inside, target string) {
	for {
		outer, err := listener.Accept()
		if err != nil {
			return
		}
		go pass(outer, pod, target)
	}
}

// pass copies both ways and tells each side when the other has said everything.
func pass(outer net.Conn, pod inside, target string) {
	defer outer.Close()
	inner, err := pod.dial(target)
	if err != nil {
		return
	}
	defer inner.Close()
	go func() {
		io.Copy(inner, outer)
		inner.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(outer, inner)
	outer.(*net.TCPConn).CloseWrite()
}

func target(address string, port uint16) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}
