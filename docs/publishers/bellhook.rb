# Ruby 2.7 or newer, Rails 6 or newer, no other gems.
require "active_record"
require "json"
require "net/http"
require "securerandom"
require "time"

class OutboxEvent < ActiveRecord::Base
  self.table_name = "bellhook_outbox"
  scope :waiting, -> { where(posted_at: nil, refused: nil).order(:id) }

  # Call it within the transaction that changes your own tables.
  def self.add(type, data, scope: {}, id: SecureRandom.uuid)
    # The whole event is fixed here: a repeat must have the same content as the first post.
    event = { id: id, type: type, timestamp: Time.now.utc.iso8601(3), scope: scope, data: data }
    create!(event_id: id, body: JSON.generate(event))
  end
end

# What an order looks like in your application: both rows, or neither.
def place_order(model, id:, total:)
  model.transaction do
    model.create!(id: id, total: total)
    OutboxEvent.add("booking.created", { id: id, total: total }, id: "order-#{id}-created")
  end
end

class Bellhook
  NETWORK_ERRORS = [SystemCallError, SocketError, IOError, Timeout::Error, OpenSSL::SSL::SSLError,
                    Net::ProtocolError].freeze

  def initialize(url, token: nil)
    @uri = URI("#{url}/v1/events")
    @token = token
  end

  # Posts one event: [:stored], [:refused, why] or [:later, seconds or nil].
  def post(body)
    request = Net::HTTP::Post.new(@uri, "Content-Type" => "application/json")
    request["Authorization"] = "Bearer #{@token}" if @token
    request.body = body
    answer = Net::HTTP.start(@uri.host, @uri.port, use_ssl: @uri.scheme == "https",
                             open_timeout: 10, read_timeout: 30) { |http| http.request(request) }
    case answer.code.to_i
    when 200, 202 then [:stored] # 202 is new, 200 is a repeat that Bellhook has already
    # The event itself is at fault; repeating it can't help.
    when 400, 409, 413, 422 then [:refused, answer.body]
    # 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
    else [:later, Integer(answer["Retry-After"] || "", exception: false)]
    end
  rescue *NETWORK_ERRORS
    [:later, nil] # nobody there, or cut off: it may be stored, so post it again
  end

  # Posts what waits, oldest first. Run one, as a process of its own: `rails runner "…"`.
  def relay(until_empty: false)
    pause = 1
    loop do
      event = OutboxEvent.waiting.first
      return if event.nil? && until_empty
      next sleep(0.5) if event.nil?

      result, detail = post(event.body)
      # A crash right here is harmless: the next start posts the same id again, and gets 200.
      case result
      when :stored then event.update!(posted_at: Time.now.utc)
      when :refused then event.update!(refused: detail) # alert somebody
      end
      sleep(detail || pause) if result == :later
      pause = result == :later ? [pause * 2, 60].min : 1
    end
  end
end
