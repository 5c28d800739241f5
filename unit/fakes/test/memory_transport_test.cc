#include "unit/fakes/memory_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/fakes/manual_loop.h"

namespace fairlead::fakes {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Seen : net::ResponseHandler {
  void OnHeaders(int code, const net::Headers&) override { status = code; }
  void OnData(std::string_view data) override { body += data; }
  void OnEnd(const absl::Status& why) override { end = why; }
  int status = 0;
  std::string body;
  std::optional<absl::Status> end;
};

class FakeKubeTest : public ::testing::Test {
 protected:
  FakeKubeTest() {
    kube_.Serve({"", "v1", "pods", "Pod", true});
    kube_.Serve({"example.com", "v1", "widgets", "Widget", true});
  }
  std::unique_ptr<net::HttpStream> Start(const std::string& target, Seen* seen,
                                         const net::RequestOptions& options = {}) {
    auto stream = transport_.Start({"GET", target, {}, ""}, options, seen);
    loop_.Run();
    return stream;
  }
  Seen Get(const std::string& target) {
    Seen seen;
    auto stream = Start(target, &seen);
    return seen;
  }

  ManualLoop loop_;
  FakeKube kube_;
  MemoryTransport transport_{&kube_, &loop_};
};

TEST_F(FakeKubeTest, ListsInPagesAtOneVersion) {
  kube_.Put("pods", "a", "one");
  kube_.Put("pods", "b", "two", R"("spec":{"x":1})");
  const Seen first = Get("/api/v1/pods?limit=1");
  EXPECT_THAT(first.body, HasSubstr(R"("continue":"103~a~one")"));
  kube_.Put("pods", "b", "three");
  const Seen second = Get("/api/v1/pods?limit=10&continue=103~a~one");
  EXPECT_THAT(second.body, HasSubstr(R"("name":"two")"));
  EXPECT_THAT(second.body, Not(HasSubstr("three")));
  kube_.Compact();
  EXPECT_EQ(Get("/api/v1/pods?limit=10&continue=103~a~one").status, 410);
}

TEST_F(FakeKubeTest, WatchesFromAVersionAndKeepsTheStreamOpen) {
  const uint64_t version = kube_.Put("pods", "a", "one");
  kube_.Put("pods", "a", "two");
  Seen seen;
  auto stream = Start(
      "/api/v1/namespaces/a/pods?watch=true&resourceVersion=" + std::to_string(version), &seen);
  kube_.Delete("pods", "a", "one");
  kube_.Put("pods", "other", "three");
  kube_.Bookmark("pods");
  loop_.Run();
  EXPECT_THAT(seen.body, Not(HasSubstr("three")));
  EXPECT_THAT(seen.body, HasSubstr(R"({"type":"ADDED","object":{"kind":"Pod")"));
  EXPECT_THAT(seen.body, HasSubstr("DELETED"));
  EXPECT_THAT(seen.body, HasSubstr("BOOKMARK"));
  EXPECT_FALSE(seen.end.has_value());
  EXPECT_EQ(kube_.open_watches("pods"), 1U);
  stream.reset();
  EXPECT_EQ(kube_.open_watches("pods"), 0U);
}

TEST_F(FakeKubeTest, CutsAnAnswerAndSlicesIt) {
  kube_.Put("pods", "a", "one");
  kube_.Inject("GET /api/v1/pods", {.cut_after = 10, .slice = 3});
  const Seen cut = Get("/api/v1/pods");
  EXPECT_EQ(cut.body.size(), 10U);
  EXPECT_EQ(cut.end->code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Get("/api/v1/pods").end->ok());
}

TEST_F(FakeKubeTest, AnswersNeverUntilTheDeadline) {
  kube_.Inject("pods", {.never = true});
  Seen seen;
  auto stream = Start("/api/v1/pods", &seen, {.first_byte_timeout = base::seconds(5)});
  loop_.Advance(base::seconds(4));
  EXPECT_FALSE(seen.end.has_value());
  loop_.Advance(base::seconds(2));
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(FakeKubeTest, GoesBackInTimeOnRestore) {
  kube_.Put("pods", "a", "one");
  kube_.Backup();
  const uint64_t lost = kube_.Put("pods", "a", "two");
  kube_.Restore();
  EXPECT_EQ(kube_.Text("pods", "a", "two"), "");
  EXPECT_EQ(kube_.Put("pods", "a", "three"), lost);
}

TEST_F(FakeKubeTest, APausedStreamHoldsItsDataBack) {
  Seen seen;
  auto stream = Start("/api/v1/pods?watch=1&resourceVersion=101", &seen);
  stream->Pause();
  kube_.Put("pods", "a", "one");
  loop_.Run();
  EXPECT_EQ(seen.body, "");
  stream->Resume();
  loop_.Run();
  EXPECT_THAT(seen.body, HasSubstr("ADDED"));
}

TEST_F(FakeKubeTest, DescribesItsGroups) {
  EXPECT_THAT(Get("/apis").body, HasSubstr(R"("resource":"widgets")"));
  EXPECT_THAT(Get("/apis").body, Not(HasSubstr("pods")));
  EXPECT_THAT(Get("/api/v1/namespaces/kube-system").body, HasSubstr("uid-1"));
  EXPECT_EQ(Get("/apis/example.com/v1/namespaces/x/widgets/none").status, 404);
}

}  // namespace
}  // namespace fairlead::fakes
