#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/net/http_client.h"
#include "lib/net/protocol.h"

// One TCP connection of HttpClient. Heavy: for .cc files of lib/net.
namespace fairlead::net {

// The context that verifies one server; InvalidArgument when a PEM text is not usable.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeClientContext(
    const HttpClientOptions& options);

// Resolves, connects, shakes hands, and moves bytes between the socket and a ClientProtocol.
// Loop thread only. It lives until Close(), or its own end, and its last asynchronous operation.
class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  struct Owner {
    virtual ~Owner() = default;
    virtual void OnConnected(ClientConnection* connection) = 0;
    // An exchange ended: there may be room.
    virtual void OnIdle(ClientConnection* connection) = 0;
    // Once, last; never from inside a call of the owner. Open exchanges have ended already.
    virtual void OnGone(ClientConnection* connection, const absl::Status& why) = 0;
  };

  // `context` null: no TLS.
  ClientConnection(boost::asio::io_context& io, std::shared_ptr<boost::asio::ssl::context> context,
                   const HttpClientOptions& options, Owner* owner);
  void Connect();
  // Drops the connection without events.
  void Close();
  // nullptr until OnConnected. After each call that may have made output: Pump().
  [[nodiscard]] ClientProtocol* protocol() { return connected_ ? protocol_.get() : nullptr; }
  [[nodiscard]] bool http2() const { return http2_; }
  // Sends what the protocol has to say, and reads if it wants to.
  void Pump();

 private:
  using tcp = boost::asio::ip::tcp;
  using error_code = boost::system::error_code;
  void OnResolved(const tcp::resolver::results_type& addresses);
  void OnTcp();
  void OnSecured();
  void OnReady();
  void Read();
  void OnRead(error_code error, size_t size);
  void Write();
  void Watch();
  void Fail(const absl::Status& why);
  tcp::socket& socket() { return tls_ ? tls_->next_layer() : *tcp_; }

  boost::asio::io_context& io_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  HttpClientOptions options_;
  Owner* owner_;  // nullptr once closed
  tcp::resolver resolver_;
  boost::asio::steady_timer timer_;
  std::optional<tcp::socket> tcp_;
  std::optional<boost::asio::ssl::stream<tcp::socket>> tls_;
  std::unique_ptr<ClientProtocol> protocol_;
  std::unique_ptr<char[]> read_buffer_;
  std::string writing_;
  std::string output_;
  base::Time heard_{};
  bool connected_ = false;
  bool http2_ = false;
  bool pinged_ = false;
  bool read_open_ = false;
  bool write_open_ = false;
  bool pump_posted_ = false;
};

}  // namespace fairlead::net
