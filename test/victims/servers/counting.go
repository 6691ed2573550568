// counting-go PORT: /NAME counts what was asked for NAME.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
)

func main() {
	var lock sync.Mutex
	counts := map[string]int{}
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		lock.Lock()
		counts[request.URL.Path]++
		count := counts[request.URL.Path]
		lock.Unlock()
		fmt.Fprint(answer, count)
	})
	listener, err := net.Listen("tcp", ":"+os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	panic(http.Serve(listener, nil))
}
