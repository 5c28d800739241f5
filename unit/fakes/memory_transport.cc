#include "unit/fakes/memory_transport.h"

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace fairlead::fakes {
namespace {

using base::Duration;

// One exchange, shared by the client's stream and the server's reply.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(base::Loop* loop, const net::RequestOptions& options, net::ResponseHandler* handler,
           std::function<Duration()> delay, std::function<uint64_t()> life)
      : loop_(loop),
        options_(options),
        handler_(handler),
        delay_(std::move(delay)),
        life_(std::move(life)),
        begun_(life_()) {}

  void Arm() {
    Watchdog(&first_byte_, options_.first_byte_timeout);
    Watchdog(&total_, options_.total_timeout);
  }
  void Give(std::function<void(net::ResponseHandler*)> event) {
    if (handler_ == nullptr) return;
    events_.push_back(std::move(event));
    const Duration delay = delay_ ? delay_() : Duration::zero();
    if (delay <= Duration::zero()) {
      loop_->Post([self = shared_from_this()] { self->Arrive(); });
      return;
    }
    Later(delay, [self = shared_from_this()] { self->Arrive(); });
  }
  void Later(Duration delay, std::function<void()> task) {
    const uint64_t number = next_flight_++;
    flights_[number] =
        loop_->After(delay, [self = shared_from_this(), number, task = std::move(task)] {
          self->flights_.erase(number);
          task();
        });
  }
  void Headers(int status, const net::Headers& headers) {
    Give([this, status, headers](net::ResponseHandler* handler) {
      first_byte_.reset();
      Watchdog(&idle_, options_.idle_timeout);
      handler->OnHeaders(status, headers);
    });
  }
  void Data(std::string_view data) {
    Give([this, text = std::string(data)](net::ResponseHandler* handler) {
      Watchdog(&idle_, options_.idle_timeout);
      handler->OnData(text);
    });
  }
  void End(const absl::Status& status) {
    Give([this, status](net::ResponseHandler* handler) {
      Detach();
      handler->OnEnd(status);
    });
  }
  void Detach() {
    handler_ = nullptr;
    first_byte_.reset();
    total_.reset();
    idle_.reset();
    flights_.clear();
  }
  void SetPaused(bool paused) {
    paused_ = paused;
    if (!paused) loop_->Post([self = shared_from_this()] { self->DeliverAll(); });
  }
  [[nodiscard]] bool gone() const { return handler_ == nullptr; }
  // The server it was begun with is no more.
  [[nodiscard]] bool lost() const { return life_() != begun_; }

 private:
  // Some piece has travelled; the oldest comes out, whichever it was.
  void Arrive() {
    ++arrived_;
    DeliverAll();
  }
  void DeliverAll() {
    while (!paused_ && handler_ != nullptr && arrived_ > 0) {
      --arrived_;
      if (lost()) {
        net::ResponseHandler* handler = handler_;
        Detach();
        return handler->OnEnd(absl::UnavailableError("fake: connection reset"));
      }
      const auto event = std::move(events_.front());
      events_.pop_front();
      event(handler_);
    }
  }
  void Watchdog(std::unique_ptr<base::Timer>* timer, Duration after) {
    if (after <= Duration::zero()) return;
    *timer = loop_->After(after, [this] {
      net::ResponseHandler* handler = handler_;
      if (handler == nullptr) return;
      const auto self = shared_from_this();
      loop_->Post([self, handler] {
        if (self->handler_ != handler) return;
        self->Detach();
        handler->OnEnd(absl::DeadlineExceededError("fake: no answer in time"));
      });
    });
  }

  base::Loop* loop_;
  net::RequestOptions options_;
  net::ResponseHandler* handler_;  // nullptr once ended or cancelled
  std::deque<std::function<void(net::ResponseHandler*)>> events_;
  size_t arrived_ = 0;  // of events_
  bool paused_ = false;
  std::function<Duration()> delay_;
  std::function<uint64_t()> life_;
  const uint64_t begun_;
  std::map<uint64_t, std::unique_ptr<base::Timer>> flights_;
  uint64_t next_flight_ = 0;
  std::unique_ptr<base::Timer> first_byte_;
  std::unique_ptr<base::Timer> total_;
  std::unique_ptr<base::Timer> idle_;
};

class Reply : public FakeReply {
 public:
  explicit Reply(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  void Headers(int status, const net::Headers& headers) override {
    exchange_->Headers(status, headers);
  }
  void Data(std::string_view data) override { exchange_->Data(data); }
  void End() override { exchange_->End(absl::OkStatus()); }
  void Reset() override { exchange_->End(absl::UnavailableError("fake: connection reset")); }
  [[nodiscard]] bool gone() const override { return exchange_->gone(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

class Stream : public net::HttpStream {
 public:
  explicit Stream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Stream() override { exchange_->Detach(); }
  void Pause() override { exchange_->SetPaused(true); }
  void Resume() override { exchange_->SetPaused(false); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<net::HttpStream> MemoryTransport::Start(net::HttpRequest request,
                                                        const net::RequestOptions& options,
                                                        net::ResponseHandler* handler) {
  auto exchange = std::make_shared<Exchange>(loop_, options, handler, delay_, life_);
  exchange->Arm();
  if (unreachable_) {
    exchange->End(absl::UnavailableError("fake: connection refused"));
  } else {
    auto ask = [server = server_, exchange, r = std::move(request)] {
      if (exchange->gone()) return;
      const auto reply = std::make_shared<Reply>(exchange);
      if (exchange->lost()) return reply->Reset();
      server(r, reply);
    };
    const Duration delay = delay_ ? delay_() : Duration::zero();
    if (delay <= Duration::zero()) {
      loop_->Post(std::move(ask));
    } else {
      exchange->Later(delay, std::move(ask));
    }
  }
  return std::make_unique<Stream>(exchange);
}

}  // namespace fairlead::fakes
