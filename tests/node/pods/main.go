// Pods is the network plugin (CNI) of a testbed node. It makes no device and changes nothing of the machine's network.
//
// A pod has a loopback device alone, and an address in 127.0.0.0/8 of its own. For each pod one process stays in the
// namespace of the machine and opens, at the pod's address, every TCP port that the pod listens on; what connects there is
// passed on into the pod. So probes, port-forwards and tests reach a pod by its address. A pod reaches nothing but itself.
package main

import (
	"fmt"
	"os"
)

// The versions of the protocol between container runtimes and network plugins that are spoken here.
const versions = `{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}`

// The code of an error that no other code describes; below 100 they are reserved.
const failed = 100

func main() {
	if len(os.Args) == 3 {
		mirror(os.Args[1], os.Args[2])
	}
	container, namespace := os.Getenv("CNI_CONTAINERID"), os.Getenv("CNI_NETNS")
	switch os.Getenv("CNI_COMMAND") {
	case "VERSION":
		fmt.Println(versions)
	case "ADD":
		result, err := add(container, namespace, os.Getenv("CNI_IFNAME"))
		if err != nil {
			fmt.Printf(`{"cniVersion":"1.0.0","code":%d,"msg":%q}`, failed, err.Error())
			os.Exit(1)
		}
		os.Stdout.Write(result)
	case "DEL":
		remove(container)
	}
}
