// Lag of all groups by franz-go's kadm, the library that kminion collects with: groups described, offsets fetched,
// both ends of every partition listed; no time lag. Prints the seconds of each look and how many rows it had.
//
//	go run . HOST:PORT PREFIX LOOKS
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	looks, err := strconv.Atoi(os.Args[3])
	check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(os.Args[1], ",")...))
	check(err)
	defer client.Close()
	admin := kadm.NewClient(client)
	for range looks {
		began := time.Now()
		rows := look(admin, os.Args[2])
		fmt.Printf("%.3f\t%d\n", time.Since(began).Seconds(), rows)
	}
}

func look(admin *kadm.Client, prefix string) int {
	ctx := context.Background()
	listed, err := admin.ListGroups(ctx)
	check(err)
	var names []string
	for _, name := range listed.Groups() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	lags, err := admin.Lag(ctx, names...)
	check(err)
	rows := 0
	for _, group := range lags {
		check(group.Error())
		rows += len(group.Lag.Sorted())
	}
	return rows
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
