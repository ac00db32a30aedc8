// Registry is the only image registry that a node of the testbed reaches, and it has nothing: it answers what registries
// answer for an image that does not exist, and for one below `private/` what they answer without credentials.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: registry ADDRESS")
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(answer)))
}

func answer(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("Content-Type", "application/json")
	status, code, message := http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown"
	if strings.HasPrefix(request.URL.Path, "/v2/private/") {
		status, code, message = http.StatusUnauthorized, "UNAUTHORIZED", "authentication required"
		response.Header().Set("WWW-Authenticate", `Basic realm="testbed"`)
	}
	response.WriteHeader(status)
	fmt.Fprintf(response, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}
