package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

func main() {
	db, err := sql.Open("sqlite3", os.Getenv("OUTBOX_DB"))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	words := os.Args[2:]
	if os.Args[1] == "relay" {
		client := &Client{URL: words[0], Token: os.Getenv("BELLHOOK_TOKEN"),
			HTTP: http.Client{Timeout: 30 * time.Second}}
		if err := Relay(ctx, db, client, true); err != nil {
			panic(err)
		}
		return
	}
	for _, word := range words {
		id, _ := strconv.Atoi(word)
		if err := PlaceOrder(ctx, db, Order{ID: id, Total: 60}); err != nil {
			fmt.Println(word, "failed")
		}
	}
}
