<?php
// PHP 8.0 or newer with curl, Laravel 8 or newer.
use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;

class OutboxEvent extends Model
{
    protected $table = 'bellhook_outbox';
    public $timestamps = false;
    protected $guarded = [];

    /** Call it within the transaction that changes your own tables. */
    public static function add(string $type, array $data, array $scope = [], ?string $id = null): void
    {
        $id ??= bin2hex(random_bytes(16));
        // The whole event is fixed here: a repeat must have the same content as the first post.
        $event = ['id' => $id, 'type' => $type, 'timestamp' => gmdate('Y-m-d\TH:i:s\Z'),
            'scope' => (object) $scope, 'data' => $data];
        static::create(['event_id' => $id, 'body' => json_encode($event, JSON_THROW_ON_ERROR)]);
    }

    public static function waiting(): Builder
    {
        return static::whereNull('posted_at')->whereNull('refused')->orderBy('id');
    }
}

/** What an order looks like in your application: both rows, or neither. */
function placeOrder(Model $orders, int $id, int $total): void
{
    $orders->getConnection()->transaction(function () use ($orders, $id, $total) {
        $orders->newQuery()->create(['id' => $id, 'total' => $total]);
        OutboxEvent::add('booking.created', ['id' => $id, 'total' => $total], id: "order-$id-created");
    });
}

class Bellhook
{
    public function __construct(private string $url, private ?string $token = null)
    {
    }

    /** Posts one event: ['stored'], ['refused', why] or ['later', seconds or null]. */
    public function post(string $body): array
    {
        $retryAfter = null;
        $headers = ['Content-Type: application/json', 'Expect:'];
        if ($this->token) {
            $headers[] = "Authorization: Bearer {$this->token}";
        }
        $curl = curl_init("{$this->url}/v1/events");
        curl_setopt_array($curl, [
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT => 10,
            CURLOPT_TIMEOUT => 30,
            CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$retryAfter): int {
                if (preg_match('/^Retry-After: *(\d+)/i', $line, $found)) {
                    $retryAfter = (int) $found[1];
                }
                return strlen($line);
            },
        ]);
        $answer = curl_exec($curl);
        if ($answer === false) {
            return ['later', null]; // nobody there, or cut off: it may be stored, so post it again
        }
        return match (curl_getinfo($curl, CURLINFO_RESPONSE_CODE)) {
            200, 202 => ['stored'], // 202 is new, 200 is a repeat that Bellhook has already
            // The event itself is at fault; repeating it can't help.
            400, 409, 413, 422 => ['refused', $answer],
            // 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
            default => ['later', $retryAfter],
        };
    }

    /** Posts what waits, oldest first. Run one, in an artisan command of its own. */
    public function relay(bool $untilEmpty = false): void
    {
        $pause = 1;
        while (true) {
            $event = OutboxEvent::waiting()->first();
            if ($event === null) {
                if ($untilEmpty) {
                    return;
                }
                usleep(500_000);
                continue;
            }
            [$result, $detail] = $this->post($event->body) + [null, null];
            // A crash right here is harmless: the next start posts the same id again, and gets 200.
            if ($result === 'stored') {
                $event->update(['posted_at' => gmdate('Y-m-d H:i:s')]);
            } elseif ($result === 'refused') {
                $event->update(['refused' => $detail]); // alert somebody
            }
            if ($result === 'later') {
                sleep($detail ?? $pause);
            }
            $pause = $result === 'later' ? min($pause * 2, 60) : 1;
        }
    }
}
