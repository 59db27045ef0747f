// Go 1.21 or newer, standard library; any driver of database/sql. PostgreSQL writes $1, $2 for ?.
package bellhook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type Event struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Scope     map[string]any `json:"scope,omitempty"`
	Data      any            `json:"data"`
}

// AddEvent belongs in the transaction that changes your own tables.
func AddEvent(ctx context.Context, tx *sql.Tx, event Event) error {
	if event.ID == "" {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return err
		}
		event.ID = hex.EncodeToString(random)
	}
	event.Timestamp = time.Now().UTC()
	// The whole event is fixed here: a repeat must have the same content as the first post.
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		"insert into bellhook_outbox (event_id, body) values (?, ?)", event.ID, string(body))
	return err
}

type Order struct {
	ID    int `json:"id"`
	Total int `json:"total"`
}

// PlaceOrder is what an order looks like in your application: both rows, or neither.
func PlaceOrder(ctx context.Context, db *sql.DB, order Order) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	_, err = tx.ExecContext(ctx, "insert into orders (id, total) values (?, ?)", order.ID, order.Total)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("order-%d-created", order.ID)
	if err := AddEvent(ctx, tx, Event{ID: id, Type: "booking.created", Data: order}); err != nil {
		return err
	}
	return tx.Commit()
}

type Client struct {
	URL, Token string
	HTTP       http.Client // with a Timeout
}

// Refused says that the event itself is at fault; repeating it can't help.
type Refused struct{ Why string }

func (refused Refused) Error() string { return refused.Why }

// Later says to try again: after so long, if Bellhook named a time.
type Later struct{ After time.Duration }

func (Later) Error() string { return "not now" }

// Post posts one event: nil once it is stored, Refused or Later.
func (client *Client) Post(ctx context.Context, body string) error {
	request, err := http.NewRequestWithContext(ctx, "POST", client.URL+"/v1/events", strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if client.Token != "" {
		request.Header.Set("Authorization", "Bearer "+client.Token)
	}
	answer, err := client.HTTP.Do(request)
	if err != nil {
		return Later{} // nobody there, or cut off: it may be stored, so post it again
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return Later{}
	}
	switch answer.StatusCode {
	case 200, 202: // 202 is new, 200 is a repeat that Bellhook has already
		return nil
	case 400, 409, 413, 422:
		return Refused{string(text)}
	default: // 429 and 503 say when to come back; a wrong token (401, 403) waits for you to correct it
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return Later{time.Duration(seconds) * time.Second}
	}
}

// Relay posts what waits, oldest first, until ctx ends. Run one.
func Relay(ctx context.Context, db *sql.DB, client *Client, untilEmpty bool) error {
	pause := time.Second
	for {
		var id int64
		var body string
		err := db.QueryRowContext(ctx, `select id, body from bellhook_outbox
			where posted_at is null and refused is null order by id limit 1`).Scan(&id, &body)
		if errors.Is(err, sql.ErrNoRows) {
			if untilEmpty {
				return nil
			}
			if err := sleep(ctx, 500*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		err = client.Post(ctx, body)
		var later Later
		var refused Refused
		// A crash right here is harmless: the next start posts the same id again, and gets 200.
		switch {
		case err == nil:
			_, err = db.ExecContext(ctx, "update bellhook_outbox set posted_at = current_timestamp where id = ?", id)
			pause = time.Second
		case errors.As(err, &refused): // alert somebody
			_, err = db.ExecContext(ctx, "update bellhook_outbox set refused = ? where id = ?", refused.Why, id)
			pause = time.Second
		case errors.As(err, &later):
			if later.After == 0 {
				later.After = pause
			}
			err = sleep(ctx, later.After)
			if pause *= 2; pause > time.Minute {
				pause = time.Minute
			}
		}
		if err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
