// The client's HTTP/2 session against nghttp2's server session, over memory.
#include "lib/net/http2_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <map>
#include <optional>

namespace fairlead::net {
namespace {

using ::testing::HasSubstr;

struct Seen : ExchangeEvents {
  void OnHeaders(int code, const Headers& given) override {
    status = code;
    headers = given;
  }
  void OnData(std::string_view data) override { body += data; }
  void OnEnd(const absl::Status& why) override { end = why; }
  int status = 0;
  Headers headers;
  std::string body;
  std::optional<absl::Status> end;
};

// A server that answers what the test tells it to, stream by stream.
class Server {
 public:
  explicit Server(uint32_t max_streams = 100) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* user) {
          static_cast<Server*>(user)->requests[frame->hd.stream_id][std::string(
              reinterpret_cast<const char*>(name), name_size)] =
              std::string(reinterpret_cast<const char*>(value), value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
          static_cast<Server*>(user)->bodies[id].append(reinterpret_cast<const char*>(data), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t id, uint32_t code, void* user) {
          static_cast<Server*>(user)->closed[id] = code;
          return 0;
        });
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams};
    nghttp2_submit_settings(session, 0, &entry, 1);
  }
  ~Server() { nghttp2_session_del(session); }

  void Answer(int32_t id, std::string body, bool end = true, std::string status = "200") {
    auto& out = answers[id];
    out.data = std::move(body);
    out.end = end;
    nghttp2_data_provider provider{};
    provider.source.ptr = &out;
    provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                                uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      auto* answer = static_cast<Out*>(source->ptr);
      const size_t size = std::min(length, answer->data.size() - answer->sent);
      if (size == 0 && !answer->end) return NGHTTP2_ERR_DEFERRED;
      memcpy(buffer, answer->data.data() + answer->sent, size);
      answer->sent += size;
      if (answer->sent == answer->data.size() && answer->end) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(size);
    };
    std::string name = ":status";
    std::string type = "content-type";
    std::string json = "application/json";
    const nghttp2_nv headers[] = {
        {reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(status.data()),
         name.size(), status.size(), 0},
        {reinterpret_cast<uint8_t*>(type.data()), reinterpret_cast<uint8_t*>(json.data()),
         type.size(), json.size(), 0}};
    nghttp2_submit_response(session, id, headers, 2, &provider);
  }
  size_t Sent(int32_t id) { return answers[id].sent; }

  struct Out {
    std::string data;
    size_t sent = 0;
    bool end = true;
  };
  nghttp2_session* session = nullptr;
  std::map<int32_t, std::map<std::string, std::string>> requests;
  std::map<int32_t, std::string> bodies;
  std::map<int32_t, uint32_t> closed;
  std::map<int32_t, Out> answers;
};

class Http2SessionTest : public ::testing::Test {
 protected:
  void Make(uint32_t max_streams = 100) {
    server_ = std::make_unique<Server>(max_streams);
    Http2Options options;
    options.authority = "api:6443";
    options.stream_window = 100000;
    options.max_header_bytes = 20000;
    client_ = MakeHttp2Session(options);
    Exchange();
  }
  // Moves bytes until both are silent; the client gets `slice` bytes at a time.
  void Exchange(size_t slice = SIZE_MAX) {
    for (bool moved = true; moved;) {
      moved = false;
      std::string up;
      client_->TakeOutput(&up);
      if (!up.empty()) {
        moved = true;
        ASSERT_EQ(nghttp2_session_mem_recv(server_->session,
                                           reinterpret_cast<const uint8_t*>(up.data()), up.size()),
                  static_cast<ssize_t>(up.size()));
      }
      const uint8_t* data = nullptr;
      for (ssize_t size = 0; (size = nghttp2_session_mem_send(server_->session, &data)) > 0;
           moved = true) {
        std::string_view down(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
        while (!down.empty()) {
          last_ = client_->Receive(down.substr(0, slice));
          down.remove_prefix(std::min(slice, down.size()));
        }
      }
    }
  }
  int64_t Begin(Seen* seen, std::string body = "") {
    return client_->Begin(
        {body.empty() ? "GET" : "POST", "/api/v1/pods?limit=1", {{"accept", "x"}}, std::move(body)},
        seen);
  }
  std::unique_ptr<Server> server_;
  std::unique_ptr<ClientProtocol> client_;
  absl::Status last_;
};

TEST_F(Http2SessionTest, CarriesARequestAndItsAnswer) {
  Make();
  Seen seen;
  const auto id = static_cast<int32_t>(Begin(&seen, "{\"a\":1}"));
  Exchange();
  EXPECT_EQ(server_->requests[id][":path"], "/api/v1/pods?limit=1");
  EXPECT_EQ(server_->requests[id][":authority"], "api:6443");
  EXPECT_EQ(server_->requests[id]["content-length"], "7");
  EXPECT_EQ(server_->bodies[id], "{\"a\":1}");
  server_->Answer(id, "hello");
  Exchange();
  EXPECT_EQ(seen.status, 200);
  EXPECT_EQ(FindHeader(seen.headers, "content-type"), "application/json");
  EXPECT_EQ(seen.body, "hello");
  EXPECT_TRUE(seen.end->ok());
  EXPECT_EQ(client_->open(), 0U);
}

TEST_F(Http2SessionTest, AnAnswerCutAtEveryByteIsTheSame) {
  Make();
  Seen seen;
  const auto id = static_cast<int32_t>(Begin(&seen));
  Exchange(1);
  const std::string body(1'400'000, 'x');
  server_->Answer(id, body);
  Exchange(1);
  EXPECT_EQ(seen.body, body);
  EXPECT_TRUE(seen.end->ok());
}

TEST_F(Http2SessionTest, APausedStreamStopsItsSenderAndNobodyElse) {
  Make();
  Seen slow;
  Seen fast;
  const auto slow_id = static_cast<int32_t>(Begin(&slow));
  const auto fast_id = static_cast<int32_t>(Begin(&fast));
  Exchange();
  client_->SetPaused(slow_id, true);
  server_->Answer(slow_id, std::string(10'000'000, 's'));
  server_->Answer(fast_id, std::string(10'000'000, 'f'));
  Exchange();
  EXPECT_EQ(server_->Sent(slow_id), 100000U) << "one stream window";
  EXPECT_EQ(fast.body.size(), 10'000'000U);
  client_->SetPaused(slow_id, false);
  Exchange();
  EXPECT_EQ(slow.body.size(), 10'000'000U);
  EXPECT_TRUE(slow.end->ok());
}

TEST_F(Http2SessionTest, ThePeersLimitOfStreamsIsKeptAlsoWhenItShrinks) {
  Make(2);
  Seen seen[3];
  Begin(&seen[0]);
  EXPECT_TRUE(client_->HasRoom());
  Begin(&seen[1]);
  EXPECT_FALSE(client_->HasRoom());
  Exchange();
  const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1};
  nghttp2_submit_settings(server_->session, 0, &entry, 1);
  server_->Answer(1, "x");
  Exchange();
  EXPECT_EQ(client_->open(), 1U);
  EXPECT_FALSE(client_->HasRoom());
}

TEST_F(Http2SessionTest, GoawayEndsWhatTheServerDidNotTakeAndLetsTheRestFinish) {
  Make();
  Seen taken;
  Seen refused;
  const auto first = static_cast<int32_t>(Begin(&taken));
  Exchange();
  Begin(&refused);
  nghttp2_submit_goaway(server_->session, 0, first, NGHTTP2_NO_ERROR, nullptr, 0);
  const uint8_t* data = nullptr;
  std::string down;
  for (ssize_t size = 0; (size = nghttp2_session_mem_send(server_->session, &data)) > 0;) {
    down.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  std::string sent;
  client_->TakeOutput(&sent);  // the second request is on its way when GOAWAY comes
  EXPECT_TRUE(client_->Receive(down).ok());
  EXPECT_TRUE(client_->draining());
  ASSERT_TRUE(refused.end.has_value());
  EXPECT_EQ(refused.end->code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(taken.end.has_value());
  server_->Answer(first, "still fine");
  Exchange();
  EXPECT_EQ(taken.body, "still fine");
  EXPECT_TRUE(taken.end->ok());
}

TEST_F(Http2SessionTest, AResetIsUnavailable) {
  Make();
  Seen seen;
  const auto id = static_cast<int32_t>(Begin(&seen));
  Exchange();
  server_->Answer(id, "part", false);
  Exchange();
  nghttp2_submit_rst_stream(server_->session, 0, id, NGHTTP2_INTERNAL_ERROR);
  Exchange();
  EXPECT_EQ(seen.body, "part");
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(seen.end->ToString(), HasSubstr("INTERNAL_ERROR"));
}

TEST_F(Http2SessionTest, ACancelledExchangeIsResetAndSilent) {
  Make();
  Seen seen;
  const auto id = static_cast<int32_t>(Begin(&seen));
  Exchange();
  client_->Cancel(id);
  Exchange();
  EXPECT_EQ(server_->closed[id], static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_FALSE(seen.end.has_value());
  EXPECT_EQ(client_->open(), 0U);
}

TEST_F(Http2SessionTest, HeadersBeyondTheBoundEndTheStream) {
  Make();
  Seen seen;
  const auto id = static_cast<int32_t>(Begin(&seen));
  Exchange();
  server_->Answer(id, "x", true, "200");
  client_->Cancel(id);
  Seen other;
  const auto next = static_cast<int32_t>(Begin(&other));
  Exchange();
  std::string status = ":status";
  std::string code = "200";
  std::string name = "x-long";
  std::string value(10000, 'v');
  std::vector<nghttp2_nv> headers = {{reinterpret_cast<uint8_t*>(status.data()),
                                      reinterpret_cast<uint8_t*>(code.data()), 7, 3, 0}};
  for (int i = 0; i < 3; ++i) {
    headers.push_back({reinterpret_cast<uint8_t*>(name.data()),
                       reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                       NGHTTP2_NV_FLAG_NO_INDEX});
  }
  nghttp2_submit_response(server_->session, next, headers.data(), headers.size(), nullptr);
  Exchange();
  ASSERT_TRUE(other.end.has_value() || !last_.ok());
  EXPECT_EQ(other.status, 0);
}

TEST_F(Http2SessionTest, GarbageIsAnErrorOfTheConnection) {
  Make();
  Seen seen;
  Begin(&seen);
  const absl::Status status = client_->Receive("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_FALSE(status.ok());
  client_->Lost(status);
  EXPECT_FALSE(seen.end->ok());
}

}  // namespace
}  // namespace fairlead::net
