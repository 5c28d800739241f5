// The floor pipe ("R9" of performance.md): the least a C++ program can do between a watch and an
// endpoint, to measure the agent against. mTLS on both hops, nghttp2, newline scan, on-demand read
// of the metadata, 64 events a gRPC message. No hash, no cut, no compression, no coalescing, no
// acks, no resume, no checks of what it forwards.
//
// usage: bench-floor API_SERVER_PORT SINK_PORT DIR      DIR as WriteCertificates() left it
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>

#include "api/fairlead/agent/v1/agent.grpc.pb.h"
#include "bench/floor_frame.h"
#include "lib/base/config_reader.h"

namespace fairlead::bench {
namespace {

namespace v1 = fairlead::agent::v1;

constexpr int kEventsPerMessage = 64;
constexpr size_t kInput = size_t{128} << 10;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "bench-floor: %s\n", what);
  std::exit(1);
}

std::string File(const std::string& path) {
  auto text = base::ReadFile(path);
  if (!text.ok()) Die(path.c_str());
  return *std::move(text);
}

// Batches events into messages of one stream to the sink.
class Uplink {
 public:
  Uplink(const std::string& target, const std::string& dir) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = File(dir + "/ca.crt");
    tls.pem_cert_chain = File(dir + "/identity/tls.crt");
    tls.pem_private_key = File(dir + "/identity/tls.key");
    grpc::ChannelArguments arguments;  // as the agent's
    arguments.SetMaxSendMessageSize(4 << 20);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
    stub_ = v1::AgentService::NewStub(
        grpc::CreateCustomChannel(target, grpc::SslCredentials(tls), arguments));
    stream_ = stub_->Changes(&context_);
    v1::ChangesUp open;
    open.mutable_open()->set_session_id("floor");
    if (!stream_->Write(open)) Die("no stream to the sink");
    message_.mutable_batch()->set_codec(v1::CODEC_NONE);
  }

  void Add(const FloorEvent& event) {
    AppendFloorEvent(event, message_.mutable_batch()->mutable_payload());
    if (++events_ == kEventsPerMessage) Flush();
  }
  void Flush() {
    if (events_ == 0) return;
    if (!stream_->Write(message_)) Die("the sink ended the stream");
    message_.mutable_batch()->mutable_payload()->clear();  // keeps its memory
    events_ = 0;
  }

 private:
  std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ChangesUp, v1::ChangesDown>> stream_;
  v1::ChangesUp message_;
  int events_ = 0;
};

// Lines out of the watch's body, each read as far as its metadata.
class Pipe {
 public:
  explicit Pipe(Uplink* uplink) : uplink_(uplink) {}

  // Behind `data` stand SIMDJSON_PADDING bytes that may be read.
  void Feed(std::string_view data) {
    for (;;) {
      const size_t newline = data.find('\n');
      if (newline == std::string_view::npos) break;
      if (line_.empty()) {
        Line(data.substr(0, newline));
      } else {
        line_.append(data.substr(0, newline));
        line_.reserve(line_.size() + simdjson::SIMDJSON_PADDING);
        Line(line_);
        line_.clear();
      }
      data.remove_prefix(newline + 1);
    }
    line_.append(data);
  }

 private:
  void Line(std::string_view line) {
    simdjson::ondemand::document document;
    FloorEvent event;
    simdjson::ondemand::object metadata;
    if (parser_.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING)
                .get(document) != simdjson::SUCCESS ||
        document["type"].get(event.type) != simdjson::SUCCESS) {
      Die("a line that cannot be read");
    }
    if (event.type == "BOOKMARK") return uplink_->Flush();
    if (document["object"]["metadata"].get(metadata) != simdjson::SUCCESS ||
        metadata["name"].get(event.name) != simdjson::SUCCESS ||
        metadata["namespace"].get(event.name_space) != simdjson::SUCCESS ||
        metadata["uid"].get(event.uid) != simdjson::SUCCESS ||
        metadata["resourceVersion"].get(event.resource_version) != simdjson::SUCCESS) {
      Die("an object without metadata");
    }
    event.object = line;
    uplink_->Add(event);
  }

  Uplink* uplink_;
  simdjson::ondemand::parser parser_;
  std::string line_;
};

SSL* Connect(int port, const std::string& dir) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  static constexpr unsigned char kHttp2[] = "\x02h2";
  if (SSL_CTX_load_verify_locations(context, (dir + "/ca.crt").c_str(), nullptr) != 1 ||
      SSL_CTX_use_certificate_chain_file(context, (dir + "/identity/tls.crt").c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, (dir + "/identity/tls.key").c_str(), SSL_FILETYPE_PEM) !=
          1) {
    Die("the certificates cannot be read");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, kHttp2, sizeof kHttp2 - 1);
  SSL_CTX_set_read_ahead(context, 1);  // several records a system call
  SSL_CTX_set_default_read_buffer_len(context, kInput);
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    Die("no connection to the API server");
  }
  const int on = 1;  // else a window update waits for the acknowledgement of the one before
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SSL* tls = SSL_new(context);
  SSL_set_fd(tls, connection);
  if (SSL_connect(tls) != 1) Die("no TLS with the API server");
  const timeval quiet{.tv_sec = 0, .tv_usec = 20'000};  // a read returns without data after it
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof quiet);
  return tls;
}

nghttp2_nv Header(const char* name, const char* value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value)), std::strlen(name),
          std::strlen(value), NGHTTP2_NV_FLAG_NONE};
}

nghttp2_session* Watch(Pipe* pipe) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, uint8_t, int32_t, const uint8_t* data, size_t size, void* user) {
        static_cast<Pipe*>(user)->Feed({reinterpret_cast<const char*>(data), size});
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t, uint32_t, void*) -> int { Die("the watch ended"); });
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, pipe);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry window[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 256 << 10}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, window, std::size(window));
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 4 << 20);
  const nghttp2_nv request[] = {
      Header(":method", "GET"), Header(":scheme", "https"), Header(":authority", "127.0.0.1"),
      Header(":path", "/api/v1/pods?watch=1&sendInitialEvents=true&allowWatchBookmarks=true")};
  nghttp2_submit_request(session, nullptr, request, std::size(request), nullptr, nullptr);
  return session;
}

void Write(nghttp2_session* session, SSL* tls) {
  std::string out;
  const uint8_t* data = nullptr;
  for (ssize_t size = 0; (size = nghttp2_session_mem_send(session, &data)) > 0;) {
    out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  if (!out.empty() && SSL_write(tls, out.data(), static_cast<int>(out.size())) <= 0) {
    Die("the API server went away");
  }
}

// As many records as have arrived and fit, so that few lines stand in two pieces.
size_t Read(SSL* tls, std::string* input) {
  size_t size = 0;
  do {
    const int count = SSL_read(tls, input->data() + size, static_cast<int>(kInput - size));
    if (count <= 0) {
      if (SSL_get_error(tls, count) != SSL_ERROR_WANT_READ) Die("the API server went away");
      break;
    }
    size += static_cast<size_t>(count);
  } while (kInput - size >= SSL3_RT_MAX_PLAIN_LENGTH && SSL_has_pending(tls) == 1);
  return size;
}

int Main(int argc, char** argv) {
  if (argc != 4) Die("usage: bench-floor API_SERVER_PORT SINK_PORT DIR");
  const std::string dir = argv[3];
  Uplink uplink(std::string("127.0.0.1:") + argv[2], dir);
  Pipe pipe(&uplink);
  SSL* tls = Connect(std::atoi(argv[1]), dir);
  nghttp2_session* session = Watch(&pipe);
  std::string input(kInput + simdjson::SIMDJSON_PADDING, '\0');
  for (;;) {
    Write(session, tls);
    const size_t count = Read(tls, &input);
    if (count == 0) {
      uplink.Flush();  // nothing for a while
      continue;
    }
    const auto* data = reinterpret_cast<const uint8_t*>(input.data());
    if (nghttp2_session_mem_recv(session, data, count) < 0) Die("HTTP/2");
  }
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
