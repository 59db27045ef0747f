// .NET 8 or newer, no packages but your database's ADO.NET provider. PostgreSQL and SQL Server write @id too.
using System.Data.Common;
using System.Text;
using System.Text.Json;

public record Order(long Id, long Total);

public enum Result { Stored, Refused, Later }

/// <summary>What became of a post: why it was refused, or how long to wait, if Bellhook said.</summary>
public record Answer(Result Result, string? Why = null, TimeSpan? After = null);

public static class Outbox
{
    /// <summary>Call it within the transaction that changes your own tables.</summary>
    public static async Task AddAsync(
        DbTransaction transaction, string id, string type, object data, object? scope = null)
    {
        // The whole event is fixed here: a repeat must have the same content as the first post.
        var body = JsonSerializer.Serialize(
            new { id, type, timestamp = DateTime.UtcNow.ToString("o"), scope = scope ?? new { }, data });
        await Sql.RunAsync(transaction.Connection!, transaction,
            "insert into bellhook_outbox (event_id, body) values (@id, @body)",
            ("@id", id), ("@body", body));
    }

    /// <summary>What an order looks like in your application: both rows, or neither.</summary>
    public static async Task PlaceOrderAsync(DbConnection db, Order order)
    {
        await using var transaction = await db.BeginTransactionAsync();
        await Sql.RunAsync(db, transaction, "insert into orders (id, total) values (@id, @total)",
            ("@id", order.Id), ("@total", order.Total));
        await AddAsync(transaction, $"order-{order.Id}-created", "booking.created",
            new { id = order.Id, total = order.Total });
        await transaction.CommitAsync(); // leaving without it rolls back
    }

    /// <summary>Posts what waits, oldest first. Run one, as a BackgroundService.</summary>
    public static async Task RelayAsync(
        DbConnection db, BellhookClient client, CancellationToken stop, bool untilEmpty = false)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (!stop.IsCancellationRequested)
        {
            var (id, body) = await OldestAsync(db);
            if (body is null)
            {
                if (untilEmpty) return;
                await Task.Delay(500, stop);
                continue;
            }
            var answer = await client.PostAsync(body, stop);
            // A crash right here is harmless: the next start posts the same id again, and gets 200.
            switch (answer.Result)
            {
                case Result.Stored:
                    await Sql.RunAsync(db, null,
                        "update bellhook_outbox set posted_at = current_timestamp where id = @id", ("@id", id));
                    break;
                case Result.Refused: // alert somebody
                    await Sql.RunAsync(db, null,
                        "update bellhook_outbox set refused = @why where id = @id",
                        ("@why", answer.Why!), ("@id", id));
                    break;
                case Result.Later:
                    await Task.Delay(answer.After ?? pause, stop);
                    break;
            }
            pause = answer.Result == Result.Later
                ? TimeSpan.FromSeconds(Math.Min(pause.TotalSeconds * 2, 60))
                : TimeSpan.FromSeconds(1);
        }
    }

    private static async Task<(long Id, string? Body)> OldestAsync(DbConnection db)
    {
        await using var command = db.CreateCommand();
        command.CommandText = "select id, body from bellhook_outbox"
            + " where posted_at is null and refused is null order by id limit 1";
        await using var row = await command.ExecuteReaderAsync();
        return await row.ReadAsync() ? (row.GetInt64(0), row.GetString(1)) : (0, null);
    }
}

public class BellhookClient(HttpClient http, string url, string? token = null)
{
    /// <summary>Posts one event. Give <c>http</c> a Timeout of 30 seconds.</summary>
    public async Task<Answer> PostAsync(string body, CancellationToken stop)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{url}/v1/events");
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (token is not null) request.Headers.Authorization = new("Bearer", token);
        try
        {
            using var answer = await http.SendAsync(request, stop);
            var text = await answer.Content.ReadAsStringAsync(stop);
            return (int)answer.StatusCode switch
            {
                200 or 202 => new(Result.Stored), // 202 is new, 200 a repeat that Bellhook has already
                // The event itself is at fault; repeating it can't help.
                400 or 409 or 413 or 422 => new(Result.Refused, Why: text),
                // 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
                _ => new(Result.Later, After: answer.Headers.RetryAfter?.Delta),
            };
        }
        catch (Exception error) when (error is HttpRequestException or IOException
            || error is TaskCanceledException && !stop.IsCancellationRequested)
        {
            return new(Result.Later); // nobody there, or cut off: it may be stored, so post it again
        }
    }
}

static class Sql
{
    public static async Task RunAsync(
        DbConnection db, DbTransaction? transaction, string text, params (string Name, object Value)[] values)
    {
        await using var command = db.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = text;
        foreach (var (name, value) in values)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value);
            command.Parameters.Add(parameter);
        }
        await command.ExecuteNonQueryAsync();
    }
}
