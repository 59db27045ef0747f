// Java 17 or newer, Spring 4.3 or newer (spring-jdbc); the beans are yours to declare.
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.support.TransactionTemplate;

public class Bellhook {
  /** Turns an event into JSON; with Jackson: `mapper::writeValueAsString`. */
  public interface Json {
    String write(Map<String, ?> value) throws IOException;
  }

  public record Order(long id, long total) {}

  /** What an order looks like in your application: both rows, or neither. */
  public static class Orders {
    private final JdbcTemplate jdbc;
    private final TransactionTemplate transaction; // or @Transactional on place()
    private final Outbox outbox;

    public Orders(JdbcTemplate jdbc, TransactionTemplate transaction, Outbox outbox) {
      this.jdbc = jdbc;
      this.transaction = transaction;
      this.outbox = outbox;
    }

    public void place(Order order) {
      transaction.execute(status -> {
        jdbc.update("insert into orders (id, total) values (?, ?)", order.id(), order.total());
        outbox.add("order-" + order.id() + "-created", "booking.created", Map.of(),
            Map.of("id", order.id(), "total", order.total()));
        return null;
      });
    }
  }

  public static class Outbox {
    private final JdbcTemplate jdbc;
    private final Json json;

    public Outbox(JdbcTemplate jdbc, Json json) {
      this.jdbc = jdbc;
      this.json = json;
    }

    /** Call it within the transaction that changes your own tables. */
    public void add(String id, String type, Map<String, ?> scope, Map<String, ?> data) {
      try {
        // The whole event is fixed here: a repeat must have the same content as the first post.
        String body = json.write(Map.of("id", id, "type", type,
            "timestamp", Instant.now().toString(), "scope", scope, "data", data));
        jdbc.update("insert into bellhook_outbox (event_id, body) values (?, ?)", id, body);
      } catch (IOException error) {
        throw new IllegalArgumentException("the event is no JSON", error);
      }
    }
  }

  public enum Result { STORED, REFUSED, LATER }

  /** What became of a post: why it was refused, or how many seconds to wait (0: not said). */
  public record Answer(Result result, String why, long seconds) {}

  public static class Client {
    private final HttpClient http = HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();
    private final URI url;
    private final String token;

    public Client(String url, String token) {
      this.url = URI.create(url + "/v1/events");
      this.token = token;
    }

    public Answer post(String body) throws InterruptedException {
      var request = HttpRequest.newBuilder(url).timeout(Duration.ofSeconds(30))
          .header("Content-Type", "application/json")
          .POST(HttpRequest.BodyPublishers.ofString(body));
      if (token != null) request.header("Authorization", "Bearer " + token);
      try {
        var answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
        return switch (answer.statusCode()) {
          // 202 is new, 200 is a repeat that Bellhook has already.
          case 200, 202 -> new Answer(Result.STORED, null, 0);
          // The event itself is at fault; repeating it can't help.
          case 400, 409, 413, 422 -> new Answer(Result.REFUSED, answer.body(), 0);
          // 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
          default -> new Answer(Result.LATER, null, answer.headers().firstValue("Retry-After")
              .filter(text -> text.matches("\\d{1,6}")).map(Long::parseLong).orElse(0L));
        };
      } catch (IOException error) {
        // Nobody there, or cut off: it may be stored, so post it again.
        return new Answer(Result.LATER, null, 0);
      }
    }
  }

  private record Row(long id, String body) {}

  /** Posts what waits, oldest first. Run one, on a thread of its own. */
  public static void relay(JdbcTemplate jdbc, Client client, boolean untilEmpty)
      throws InterruptedException {
    long pause = 1;
    while (!Thread.interrupted()) {
      List<Row> oldest = jdbc.query("select id, body from bellhook_outbox"
          + " where posted_at is null and refused is null order by id limit 1",
          (rows, number) -> new Row(rows.getLong("id"), rows.getString("body")));
      if (oldest.isEmpty()) {
        if (untilEmpty) return;
        Thread.sleep(500);
        continue;
      }
      Row row = oldest.get(0);
      Answer answer = client.post(row.body());
      // A crash right here is harmless: the next start posts the same id again, and gets 200.
      switch (answer.result()) {
        case STORED -> jdbc.update(
            "update bellhook_outbox set posted_at = current_timestamp where id = ?", row.id());
        case REFUSED -> jdbc.update( // alert somebody
            "update bellhook_outbox set refused = ? where id = ?", answer.why(), row.id());
        case LATER -> Thread.sleep(1000 * (answer.seconds() > 0 ? answer.seconds() : pause));
      }
      pause = answer.result() == Result.LATER ? Math.min(pause * 2, 60) : 1;
    }
  }
}
