require_relative "sample"

ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ENV.fetch("OUTBOX_DB"))

class Order < ActiveRecord::Base
end

command, *words = ARGV
if command == "relay"
  Bellhook.new(words[0], token: ENV["BELLHOOK_TOKEN"]).relay(until_empty: true)
else
  words.each do |word|
    place_order(Order, id: word.to_i, total: 60)
  rescue ActiveRecord::RecordNotUnique
    puts "#{word} failed"
  end
end
