<?php
require 'Illuminate/Database/autoload.php';
require __DIR__ . '/sample.php';

$capsule = new Illuminate\Database\Capsule\Manager();
$capsule->addConnection(['driver' => 'sqlite', 'database' => getenv('OUTBOX_DB')]);
$capsule->bootEloquent();

class Order extends Illuminate\Database\Eloquent\Model
{
    public $timestamps = false;
    protected $guarded = [];
}

[$command, $words] = [$argv[1], array_slice($argv, 2)];
if ($command === 'relay') {
    (new Bellhook($words[0], getenv('BELLHOOK_TOKEN') ?: null))->relay(untilEmpty: true);
} else {
    foreach ($words as $word) {
        try {
            placeOrder(new Order(), (int) $word, 60);
        } catch (Illuminate\Database\QueryException) {
            echo "$word failed\n";
        }
    }
}
