// Counts in goroutines: a ticker, a worker, a collector that runs now and then.
package main

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"time"
)

func main() {
	data := map[int]string{}
	hash := fnv.New32()
	for i := 0; i < 20000; i++ {
		data[i] = fmt.Sprint(i, i, i)
		hash.Write([]byte(data[i]))
	}
	work := make(chan int)
	go func() {
		for n := 1; ; n++ {
			time.Sleep(50 * time.Millisecond)
			work <- n
		}
	}()
	go func() {
		for {
			time.Sleep(200 * time.Millisecond)
			runtime.GC()
		}
	}()
	for n := range work {
		fmt.Println("count", n, hash.Sum32(), len(data))
	}
}
