import java.util.Map;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.transaction.support.TransactionTemplate;

class Driver {
  public static void main(String[] words) throws Exception {
    var source = new DriverManagerDataSource("jdbc:sqlite:" + System.getenv("OUTBOX_DB"));
    var jdbc = new JdbcTemplate(source);
    if (words[0].equals("relay")) {
      var client = new Bellhook.Client(words[1], System.getenv("BELLHOOK_TOKEN"));
      Bellhook.relay(jdbc, client, true);
      return;
    }
    var transaction = new TransactionTemplate(new DataSourceTransactionManager(source));
    var orders = new Bellhook.Orders(jdbc, transaction, new Bellhook.Outbox(jdbc, Driver::json));
    for (int index = 1; index < words.length; index++) {
      try {
        orders.place(new Bellhook.Order(Long.parseLong(words[index]), 60));
      } catch (DataAccessException error) {
        System.out.println(words[index] + " failed");
      }
    }
  }

  /** In the place of Jackson: the events here hold texts, numbers and maps of them. */
  private static String json(Object value) {
    if (value instanceof Map<?, ?> map) {
      var members = map.entrySet().stream()
          .map(entry -> json(entry.getKey()) + ":" + json(entry.getValue())).toList();
      return "{" + String.join(",", members) + "}";
    }
    return value instanceof Number ? value.toString() : "\"" + value + "\"";
  }
}
