#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>
#include <optional>
#include <utility>

#include "lib/base/strings.h"
#include "unit/fakes/fake_server_protocol.h"

namespace fairlead::fakes {
namespace {

namespace http = boost::beast::http;
using base::StrCat;

// What a reply and its connection share: the reply may be later than the connection's end.
struct Http1Exchange {
  std::string* output = nullptr;  // nullptr once over
  bool* cut = nullptr;
  std::string target;
  FakeServerEvents* events = nullptr;
};

class Http1Reply : public FakeReply {
 public:
  explicit Http1Reply(std::shared_ptr<Http1Exchange> exchange) : exchange_(std::move(exchange)) {}
  void Headers(int status, const net::Headers& headers) override {
    std::string head = StrCat("HTTP/1.1 ", status, " Fake\r\ntransfer-encoding: chunked\r\n");
    for (const auto& [name, value] : headers) head += StrCat(name, ": ", value, "\r\n");
    Add(head + "\r\n");
  }
  void Data(std::string_view data) override {
    if (data.empty() || gone()) return;
    char size[20];
    (void)snprintf(size, sizeof size, "%zx\r\n", data.size());
    exchange_->events->sent(exchange_->target, data.size());
    Add(StrCat(size, data, "\r\n"));
  }
  void End() override {
    Add("0\r\n\r\n");
    Finish();
  }
  void Reset() override {
    if (gone()) return;
    *exchange_->cut = true;
    exchange_->events->wake();
    Finish();
  }
  [[nodiscard]] bool gone() const override { return exchange_->output == nullptr; }

 private:
  void Add(std::string_view text) {
    if (gone()) return;
    exchange_->output->append(text);
    exchange_->events->wake();
  }
  void Finish() {
    if (gone()) return;
    exchange_->output = nullptr;
    exchange_->events->streams(-1);
  }

  std::shared_ptr<Http1Exchange> exchange_;
};

class Http1Server : public FakeServerProtocol {
 public:
  explicit Http1Server(FakeServerEvents events) : events_(std::move(events)) {}
  ~Http1Server() override {
    if (exchange_ && exchange_->output != nullptr) {
      exchange_->output = nullptr;
      events_.streams(-1);
    }
  }

  bool Receive(std::string_view bytes) override {
    pending_.append(bytes);
    while (!pending_.empty() && !cut_) {
      if (!parser_) NewParser();
      boost::system::error_code error;
      pending_.erase(0, parser_->put(boost::asio::buffer(pending_), error));
      if (error == http::error::need_more) return true;
      if (error) return false;
      if (parser_->is_done()) Handle();
    }
    return !cut_;
  }
  void TakeOutput(std::string* out) override { out->append(std::exchange(output_, {})); }

 private:
  void NewParser() {
    parser_.emplace();
    parser_->eager(true);
    parser_->body_limit(std::numeric_limits<uint64_t>::max());
  }
  void Handle() {
    net::HttpRequest request;
    const auto& message = parser_->get();
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.body = message.body();
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    parser_.reset();
    exchange_ =
        std::make_shared<Http1Exchange>(Http1Exchange{&output_, &cut_, request.target, &events_});
    events_.streams(1);
    events_.handle(request, std::make_shared<Http1Reply>(exchange_));
  }

  FakeServerEvents events_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::shared_ptr<Http1Exchange> exchange_;
  std::string pending_;
  std::string output_;
  bool cut_ = false;
};

}  // namespace

std::unique_ptr<FakeServerProtocol> MakeFakeHttp1(FakeServerEvents events) {
  return std::make_unique<Http1Server>(std::move(events));
}

}  // namespace fairlead::fakes
