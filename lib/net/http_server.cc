#include "lib/net/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/net/response_head.h"
#include "lib/net/server_tls.h"

namespace fairlead::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using tcp = boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kLookForEnd{500};

class ServerCore;

// What a responder and its connection share. Fields without a lock belong to the I/O thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerCore* core, tcp::socket socket)
      : core_(core), end_timer_(socket.get_executor()), tcp_(std::move(socket)) {}
  Connection(ServerCore* core, tcp::socket socket, std::shared_ptr<ssl::context> context)
      : core_(core), end_timer_(socket.get_executor()), context_(std::move(context)) {
    tls_.emplace(std::move(socket), *context_);
  }
  void Start();
  // Cuts the connection. I/O thread.
  void Close();

  // Called on the I/O thread by responders, with the number of the request they answer.
  void Respond(uint64_t request, int status, const Headers& headers, std::string body,
               bool chunked);
  void WatchDrain(uint64_t request, std::function<void()> told);
  void Queue(uint64_t request, std::string bytes, bool last);
  void Abandoned(uint64_t request);

  std::atomic<size_t> queued_bytes{0};
  std::atomic<bool> closed{false};  // set once, on the I/O thread

 private:
  beast::tcp_stream& lowest() { return tls_ ? beast::get_lowest_layer(*tls_) : *tcp_; }
  void ReadRequest();
  void OnRequest(error_code error);
  void Dispatch();
  void RefuseRequest(http::status status);
  void WatchForClose();
  void LookForEnd();
  void Flush();
  void OnWritten(error_code error);
  void OnAnswered();

  template <typename Function>
  void WithStream(Function function) {
    if (tls_) {
      function(*tls_);
    } else {
      function(*tcp_);
    }
  }

  ServerCore* core_;  // used only by handlers that run, so never after Stop()
  asio::steady_timer end_timer_;
  std::shared_ptr<ssl::context> context_;
  std::optional<beast::tcp_stream> tcp_;
  std::optional<beast::ssl_stream<beast::tcp_stream>> tls_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::vector<std::string> peer_uris_;
  std::string peer_address_;
  std::deque<std::string> out_;
  std::function<void()> drained_;
  bool writing_ = false;
  bool answered_ = false;  // the whole answer is in out_
  bool keep_alive_ = false;
  bool head_request_ = false;
  bool chunked_ = false;
  uint64_t request_ = 0;  // number of the request under way
  char spare_ = 0;
};

class Responder : public HttpResponder {
 public:
  Responder(std::shared_ptr<Connection> connection, std::shared_ptr<asio::io_context> io,
            uint64_t request)
      : io_(std::move(io)), connection_(std::move(connection)), request_(request) {}
  ~Responder() override {
    if (ended_) return;
    asio::post(*io_, [c = connection_, n = request_] { c->Abandoned(n); });
  }

  using HttpResponder::Send;
  void Send(int status, const Headers& headers, std::string body) override {
    ended_ = true;
    asio::post(*io_,
               [c = connection_, n = request_, status, headers, b = std::move(body)]() mutable {
                 c->Respond(n, status, headers, std::move(b), false);
               });
  }
  using HttpResponder::Begin;
  void Begin(int status, const Headers& headers) override {
    asio::post(*io_, [c = connection_, n = request_, status, headers] {
      c->Respond(n, status, headers, "", true);
    });
  }
  void OnDrain(std::function<void()> told) override {
    asio::post(*io_, [c = connection_, n = request_, told = std::move(told)]() mutable {
      c->WatchDrain(n, std::move(told));
    });
  }
  void Write(std::string data) override {
    if (data.empty() || connection_->closed) return;
    connection_->queued_bytes += data.size();
    asio::post(*io_, [c = connection_, n = request_, d = std::move(data)]() mutable {
      c->Queue(n, std::move(d), false);
    });
  }
  void End() override {
    ended_ = true;
    asio::post(*io_, [c = connection_, n = request_] { c->Queue(n, "", true); });
  }
  [[nodiscard]] size_t QueuedBytes() const override { return connection_->queued_bytes; }
  [[nodiscard]] bool closed() const override { return connection_->closed; }

 private:
  // First, so that it outlives the connection's socket.
  std::shared_ptr<asio::io_context> io_;
  std::shared_ptr<Connection> connection_;
  uint64_t request_;
  bool ended_ = false;
};

class ServerCore : public HttpServer {
 public:
  ServerCore(const HttpServerOptions& options, HttpHandler* handler, base::Loop* loop)
      : options_(options),
        handler_(handler),
        loop_(loop),
        acceptor_(*io_),
        reload_timer_(*io_),
        accept_timer_(*io_) {}
  ~ServerCore() override { Stop(); }

  absl::Status Listen();
  [[nodiscard]] int port() const override { return port_; }
  void Stop() override;

  const HttpServerOptions& options() const { return options_; }
  void Forget(const std::shared_ptr<Connection>& connection) { open_.erase(connection); }
  void Handle(HttpServerRequest request, std::shared_ptr<Connection> connection, uint64_t number) {
    auto responder = std::make_shared<Responder>(std::move(connection), io_, number);
    loop_->Post([alive = std::weak_ptr<bool>(alive_), handler = handler_, r = std::move(request),
                 responder = std::move(responder)] {
      if (alive.lock()) handler->Handle(r, responder);
    });
  }

 private:
  ServerTlsFiles TlsFiles() const {
    return {options_.certificate_file, options_.key_file, options_.ca_file};
  }
  void Accept();
  void OnAccept(tcp::socket socket);
  void WatchFiles();

  HttpServerOptions options_;
  HttpHandler* handler_;
  base::Loop* loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  tcp::acceptor acceptor_;
  asio::steady_timer reload_timer_;
  asio::steady_timer accept_timer_;
  std::shared_ptr<ssl::context> context_;
  std::string stamp_;
  std::set<std::shared_ptr<Connection>> open_;  // I/O thread
  int port_ = 0;
  std::thread thread_;
};

void Connection::Start() {
  error_code error;
  const auto remote = lowest().socket().remote_endpoint(error);
  if (!error) peer_address_ = base::StrCat(remote.address().to_string(), ":", remote.port());
  lowest().socket().set_option(tcp::no_delay(true), error);
  if (!tls_) return ReadRequest();
  lowest().expires_after(std::chrono::seconds(core_->options().request_timeout_seconds));
  tls_->async_handshake(ssl::stream_base::server, [self = shared_from_this()](error_code failed) {
    if (failed) return self->Close();
    self->peer_uris_ = PeerUris(self->tls_->native_handle());
    self->ReadRequest();
  });
}

void Connection::Close() {
  if (closed.exchange(true)) return;
  error_code ignored;
  lowest().socket().close(ignored);
  end_timer_.cancel();
  if (const auto told = std::exchange(drained_, nullptr)) told();
  core_->Forget(shared_from_this());
}

void Connection::ReadRequest() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(core_->options().max_header_bytes));
  parser_->body_limit(core_->options().max_body_bytes);
  lowest().expires_after(std::chrono::seconds(core_->options().idle_timeout_seconds));
  WithStream([this](auto& stream) {
    http::async_read_header(
        stream, buffer_, *parser_, [self = shared_from_this()](error_code error, size_t) {
          if (error) return self->OnRequest(error);
          self->lowest().expires_after(
              std::chrono::seconds(self->core_->options().request_timeout_seconds));
          self->WithStream([&self](auto& inner) {
            http::async_read(inner, self->buffer_, *self->parser_,
                             [self](error_code failed, size_t) { self->OnRequest(failed); });
          });
        });
  });
}

void Connection::OnRequest(error_code error) {
  if (error == http::error::body_limit) return RefuseRequest(http::status::payload_too_large);
  if (error == http::error::header_limit) {
    return RefuseRequest(http::status::request_header_fields_too_large);
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return RefuseRequest(http::status::bad_request);
  }
  if (error) return Close();
  Dispatch();
}

void Connection::Dispatch() {
  const auto& message = parser_->get();
  HttpServerRequest request;
  request.method =
      std::string(base::View({message.method_string().data(), message.method_string().size()}));
  const std::string_view target(message.target().data(), message.target().size());
  const size_t mark = target.find('?');
  request.path = std::string(target.substr(0, mark));
  if (mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
  for (const auto& field : message) {
    std::string name(field.name_string().data(), field.name_string().size());
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    request.headers.emplace_back(std::move(name),
                                 std::string(field.value().data(), field.value().size()));
  }
  keep_alive_ = message.keep_alive();
  head_request_ = request.method == "HEAD";
  request.body = std::move(parser_->get().body());
  request.peer_uris = peer_uris_;
  request.peer_address = peer_address_;
  answered_ = false;
  chunked_ = false;
  drained_ = nullptr;
  lowest().expires_never();
  ++request_;
  WatchForClose();
  core_->Handle(std::move(request), shared_from_this(), request_);
}

// While a handler thinks or streams, the only thing the client may do is go away.
void Connection::WatchForClose() {
  if (buffer_.size() > 0) return;  // a pipelined request: its bytes wait their turn
  lowest().socket().async_wait(
      tcp::socket::wait_read, [self = shared_from_this(), n = request_](error_code error) {
        if (error || n != self->request_ || self->answered_) return;
        error_code peek;
        const size_t got = self->lowest().socket().receive(asio::buffer(&self->spare_, 1),
                                                           tcp::socket::message_peek, peek);
        if (peek || got == 0) return self->Close();
        self->LookForEnd();
      });
}

// What waits to be read hides the end behind it: TLS says that it goes, and then goes.
void Connection::LookForEnd() {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(lowest().socket().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      info.tcpi_state != TCP_ESTABLISHED) {
    return Close();
  }
  end_timer_.expires_after(kLookForEnd);
  end_timer_.async_wait([self = shared_from_this(), n = request_](error_code error) {
    if (!error && !self->closed && n == self->request_ && !self->answered_) self->LookForEnd();
  });
}

void Connection::RefuseRequest(http::status status) {
  keep_alive_ = false;
  head_request_ = false;
  Respond(++request_, static_cast<int>(status), AnswerHeaders("text/plain"),
          base::StrCat(std::string(http::obsolete_reason(status)), "\n"), false);
}

void Connection::WatchDrain(uint64_t request, std::function<void()> told) {
  if (closed) return told();
  if (request == request_ && !answered_) drained_ = std::move(told);
}

void Connection::Respond(uint64_t request, int status, const Headers& headers, std::string body,
                         bool chunked) {
  if (request != request_ || closed) return;
  chunked_ = chunked;
  std::string text = ResponseHead(status, headers,
                                  chunked ? std::nullopt : std::optional(body.size()), keep_alive_);
  if (!head_request_) text += body;
  queued_bytes += text.size();
  out_.push_back(std::move(text));
  answered_ = !chunked;
  Flush();
}

void Connection::Queue(uint64_t request, std::string bytes, bool last) {
  if (request != request_ || closed || !chunked_ || answered_) return;
  if (head_request_) {  // its answer has ended with the headers (RFC 9110 section 9.3.2)
    queued_bytes -= bytes.size();
    answered_ = last;
    if (last && !writing_ && out_.empty()) OnAnswered();
    return;
  }
  if (last) {
    answered_ = true;
    queued_bytes += 5;
    out_.emplace_back("0\r\n\r\n");
    return Flush();
  }
  out_.push_back(Chunk(bytes));
  queued_bytes += out_.back().size() - bytes.size();
  Flush();
}

void Connection::Abandoned(uint64_t request) {
  if (request == request_ && !answered_) Close();
}

void Connection::Flush() {
  if (writing_ || out_.empty()) return;
  writing_ = true;
  lowest().expires_after(std::chrono::seconds(core_->options().request_timeout_seconds));
  WithStream([this](auto& stream) {
    asio::async_write(
        stream, asio::buffer(out_.front()),
        [self = shared_from_this()](error_code error, size_t) { self->OnWritten(error); });
  });
}

void Connection::OnWritten(error_code error) {
  writing_ = false;
  if (error) return Close();
  queued_bytes -= out_.front().size();
  out_.pop_front();
  if (drained_) drained_();
  if (!out_.empty()) return Flush();
  if (!answered_) return lowest().expires_never();
  OnAnswered();
}

void Connection::OnAnswered() {
  if (keep_alive_) return ReadRequest();
  if (!tls_) {
    error_code ignored;
    lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
    return Close();
  }
  tls_->async_shutdown([self = shared_from_this()](error_code) { self->Close(); });
}

absl::Status ServerCore::Listen() {
  const size_t colon = options_.address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(base::StrCat(options_.address, ": not host:port"));
  }
  std::string host = options_.address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(host.empty()          ? "0.0.0.0"
                                              : host == "localhost" ? "127.0.0.1"
                                                                    : host,
                                              error);
  if (error)
    return absl::InvalidArgumentError(
        base::StrCat(options_.address, ": the host must be an IP address"));
  const tcp::endpoint where(address,
                            static_cast<uint16_t>(std::atoi(options_.address.c_str() + colon + 1)));
  if (!options_.certificate_file.empty()) {
    auto context = MakeServerContext(TlsFiles());
    if (!context.ok()) return context.status();
    context_ = *std::move(context);
    stamp_ = FilesStamp(TlsFiles());
    WatchFiles();
  }
  acceptor_.open(where.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(where, error);
  if (!error) acceptor_.listen(512, error);
  if (error) {
    return absl::UnavailableError(
        base::StrCat("listen on ", options_.address, ": ", error.message()));
  }
  port_ = acceptor_.local_endpoint().port();
  Accept();
  thread_ = std::thread([this] { io_->run(); });
  return absl::OkStatus();
}

void ServerCore::WatchFiles() {
  reload_timer_.expires_after(std::chrono::seconds(options_.reload_seconds));
  reload_timer_.async_wait([this](error_code error) {
    if (error) return;
    if (std::string stamp = FilesStamp(TlsFiles()); stamp != stamp_) {
      stamp_ = std::move(stamp);
      auto context = MakeServerContext(TlsFiles());
      if (context.ok()) {
        context_ = *std::move(context);
        log::Info("serving certificate reloaded", {{"file", options_.certificate_file}});
      } else {
        log::Warn("serving certificate not reloaded, the last good one stays",
                  {{"error", base::View(context.status().message())}});
      }
    }
    WatchFiles();
  });
}

void ServerCore::Accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      OnAccept(std::move(socket));
      return Accept();
    }
    // Out of file descriptors, most likely: asking again at once would spin.
    accept_timer_.expires_after(std::chrono::milliseconds(100));
    accept_timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) Accept();
    });
  });
}

void ServerCore::OnAccept(tcp::socket socket) {
  if (open_.size() >= static_cast<size_t>(options_.max_connections)) return;  // closes it
  auto connection = context_ ? std::make_shared<Connection>(this, std::move(socket), context_)
                             : std::make_shared<Connection>(this, std::move(socket));
  open_.insert(connection);
  connection->Start();
}

void ServerCore::Stop() {
  if (!thread_.joinable()) return;
  asio::post(*io_, [this] {
    error_code ignored;
    acceptor_.close(ignored);
    reload_timer_.cancel();
    accept_timer_.cancel();
    const auto open = std::exchange(open_, {});
    for (const auto& connection : open) connection->Close();
    io_->stop();
  });
  thread_.join();
  alive_.reset();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpHandler* handler,
                                                              base::Loop* loop) {
  auto server = std::make_unique<ServerCore>(options, handler, loop);
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace fairlead::net
