#include "lib/net/http1_session.h"

#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <optional>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

std::string_view View(string_view text) { return {text.data(), text.size()}; }

// Hands the parsed answer on as it comes; the body is not kept.
class AnswerParser : public http::basic_parser<false> {
 public:
  ExchangeEvents* events = nullptr;
  Headers headers;
  int status = 0;

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int code, string_view, int, error_code&) override { status = code; }
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    std::string lower(name.data(), name.size());
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    headers.emplace_back(std::move(lower), std::string(value.data(), value.size()));
  }
  void on_header_impl(error_code&) override {
    if (status >= 200 && events != nullptr) events->OnHeaders(status, headers);
  }
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view body, error_code&) override {
    if (events != nullptr) events->OnData(View(body));
    return body.size();
  }
  void on_chunk_header_impl(uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view body, error_code&) override {
    if (events != nullptr) events->OnData(View(body));
    return body.size();
  }
  void on_finish_impl(error_code&) override {}
};

class Http1Session : public ClientProtocol {
 public:
  Http1Session(std::string authority, size_t max_header_bytes)
      : authority_(std::move(authority)), max_header_bytes_(max_header_bytes) {}

  [[nodiscard]] bool ready() const override { return true; }
  [[nodiscard]] bool HasRoom() const override { return !parser_ && !draining_; }
  [[nodiscard]] bool draining() const override { return draining_; }
  [[nodiscard]] size_t open() const override { return parser_ && !cancelled_ ? 1 : 0; }
  [[nodiscard]] bool WantsRead() const override { return !paused_; }
  void Ping() override {}

  int64_t Begin(const HttpRequest& request, ExchangeEvents* events) override {
    head_ = request.method == "HEAD";
    NewParser(events);
    paused_ = false;
    output_ += base::StrCat(request.method, " ", request.target, " HTTP/1.1\r\nHost: ", authority_,
                            "\r\n");
    for (const auto& [name, value] : request.headers) {
      output_ += base::StrCat(name, ": ", value, "\r\n");
    }
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
        request.method == "PATCH") {
      output_ += base::StrCat("Content-Length: ", request.body.size(), "\r\n");
    }
    output_ += base::StrCat("\r\n", request.body);
    return ++exchange_;
  }
  void Cancel(int64_t exchange) override {
    if (exchange != exchange_ || !parser_) return;
    parser_->events = nullptr;
    draining_ = true;
    cancelled_ = true;
  }
  void SetPaused(int64_t exchange, bool paused) override {
    if (exchange == exchange_) paused_ = paused;
  }
  absl::Status Receive(std::string_view bytes) override {
    pending_.append(bytes);
    while (!pending_.empty()) {
      if (cancelled_) return absl::UnavailableError("the exchange was cancelled");
      if (!parser_) return absl::UnavailableError("the server sent bytes that nobody asked for");
      error_code error;
      const size_t used = parser_->put(boost::asio::buffer(pending_), error);
      pending_.erase(0, used);
      if (error == http::error::need_more) {
        if (pending_.size() <= max_header_bytes_) return absl::OkStatus();
        return absl::UnavailableError("HTTP/1.1: a chunk header or trailer without end");
      }
      if (error) return absl::UnavailableError(base::StrCat("HTTP/1.1: ", error.message()));
      if (parser_->is_done()) Finish();
    }
    return absl::OkStatus();
  }
  void TakeOutput(std::string* out) override { *out += std::exchange(output_, {}); }
  void Lost(const absl::Status& why) override {
    draining_ = true;
    if (!parser_) return;
    ExchangeEvents* events = parser_->events;
    parser_.reset();
    if (events != nullptr) events->OnEnd(why);
  }

 private:
  void NewParser(ExchangeEvents* events) {
    parser_.emplace();
    parser_->events = events;
    parser_->eager(true);
    parser_->header_limit(static_cast<uint32_t>(max_header_bytes_));
    parser_->body_limit(std::numeric_limits<uint64_t>::max());
    parser_->skip(head_);
  }
  void Finish() {
    ExchangeEvents* events = parser_->events;
    if (parser_->status < 200) return NewParser(events);  // informational
    if (!parser_->keep_alive()) draining_ = true;
    parser_.reset();
    if (events != nullptr) events->OnEnd(absl::OkStatus());
  }

  std::string authority_;
  size_t max_header_bytes_;
  std::optional<AnswerParser> parser_;
  std::string pending_;
  std::string output_;
  int64_t exchange_ = 0;
  bool head_ = false;
  bool paused_ = false;
  bool cancelled_ = false;
  bool draining_ = false;
};

}  // namespace

std::unique_ptr<ClientProtocol> MakeHttp1Session(std::string authority, size_t max_header_bytes) {
  return std::make_unique<Http1Session>(std::move(authority), max_header_bytes);
}

}  // namespace fairlead::net
