// Every path of docs/reference/rest.md.
#include "endpoint/rest/service.h"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "unit/endpoint/rest/rest_scene.h"

namespace fairlead::endpoint {
namespace {

using ::testing::HasSubstr;

class RestServiceTest : public RestScene {};

TEST_F(RestServiceTest, AnAccountIsPutShownListedAndDeleted) {
  const auto put = PutAccount("prod", R"("owner":"hub/a/b","ownerUid":"u","generation":3,)");
  ASSERT_EQ(put->code, 200) << put->body;
  const Json::Value account = Parsed(Ask("GET", "/v1/accounts/prod")->body);
  EXPECT_EQ(account["name"].asString(), "prod");
  EXPECT_EQ(account["owner"].asString(), "hub/a/b");
  EXPECT_EQ(account["ownerUid"].asString(), "u");
  EXPECT_EQ(account["generation"].asInt(), 3);
  EXPECT_EQ(account["spec"]["identities"][0].asString(), "agent");
  EXPECT_FALSE(account["status"]["connected"].asBool());
  EXPECT_EQ(Parsed(Ask("GET", "/v1/accounts")->body)["accounts"][0]["uid"], account["uid"]);
  const std::string uid = account["uid"].asString();
  EXPECT_EQ(Refusal(Ask("DELETE", "/v1/accounts/prod?uid=" + uid)), "409 Conflict");
  EXPECT_EQ(Ask("DELETE", "/v1/accounts/prod?uid=" + uid + "&owner=hub%2Fa%2Fb")->code, 200);
  EXPECT_EQ(Refusal(Ask("GET", "/v1/accounts/prod")), "404 NotFound");
  EXPECT_EQ(Parsed(Ask("GET", "/v1/accounts")->body)["accounts"], Json::Value(Json::arrayValue));
}

TEST_F(RestServiceTest, WhatIsLiveIsInTheStatus) {
  const Json::Value account = Parsed(PutAccount("prod")->body);
  base::U128 uid;
  ASSERT_TRUE(base::FromHex(account["uid"].asString(), &uid));
  AccountLive live;
  live.granted = true;
  live.standbys = 2;
  live.state = "Running";
  live.kinds = {"pods: Forbidden"};
  board_.Set(uid, live);
  const Json::Value status = Parsed(Ask("GET", "/v1/accounts/prod")->body)["status"];
  EXPECT_TRUE(status["connected"].asBool());
  EXPECT_EQ(status["standbys"].asInt(), 2);
  EXPECT_EQ(status["state"].asString(), "Running");
  EXPECT_EQ(status["kinds"][0].asString(), "pods: Forbidden");
}

TEST_F(RestServiceTest, RefusalsOfAPutHaveTheirReason) {
  ASSERT_EQ(PutAccount("prod", R"("owner":"hub/a/b","ownerUid":"u","generation":3,)")->code, 200);
  EXPECT_EQ(Refusal(PutAccount("PROD", R"("owner":"hub/c/d","ownerUid":"v","generation":9,)")),
            "409 NameTaken");
  EXPECT_EQ(Refusal(PutAccount("prod", R"("owner":"hub/a/b","ownerUid":"u","generation":2,)")),
            "409 Conflict");
  EXPECT_EQ(Refusal(PutAccount("prod", R"("owner":"hub/a/b","ownerUid":"w","generation":1,)")),
            "409 Conflict");
  EXPECT_EQ(PutAccount("prod",
                       R"("owner":"hub/a/b","ownerUid":"w","previousOwnerUid":"u","generation":1,)")
                ->code,
            200);
}

TEST_F(RestServiceTest, UnknownKeysAreNamedWithTheNearestKnownOne) {
  const auto top = PutAccount("prod", R"("ownrUid":"u",)");
  EXPECT_EQ(Refusal(top), "400 Invalid");
  EXPECT_THAT(top->body, HasSubstr(R"(ownrUid: unknown key; did you mean \"ownerUid\"?)"));
  const auto deep =
      Ask("PUT", "/v1/accounts/prod",
          R"({"spec":{"identities":["a"],"access":{"level":"Cluster"},"scope":{"kind":["x"]}}})");
  EXPECT_EQ(Refusal(deep), "400 Invalid");
  EXPECT_THAT(deep->body, HasSubstr(R"(scope.kind: unknown key; did you mean \"kinds\"?)"));
  const auto token = Ask("POST", "/v1/enrolment-tokens", R"({"identty":"a"})");
  EXPECT_EQ(Refusal(token), "400 Invalid");
  EXPECT_THAT(token->body, HasSubstr("identity"));
}

TEST_F(RestServiceTest, HostileBodiesAreRefused) {
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("{"),
        std::string(R"({"spec":7})"), std::string(R"({"spec":{}})"), std::string(200'000, '['),
        std::string(R"({"spec":{"identities":["a)") + '\xff' +
            R"("],"access":{"level":"Cluster"}}})",
        std::string(R"({"spec":{"environment":")") + std::string(300'000, 'x') + "\"}}"}) {
    EXPECT_EQ(Refusal(Ask("PUT", "/v1/accounts/prod", body)), "400 Invalid") << body.substr(0, 40);
    EXPECT_EQ(Refusal(Ask("POST", "/v1/enrolment-tokens", body)), "400 Invalid")
        << body.substr(0, 40);
  }
}

TEST_F(RestServiceTest, HostilePathsAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("a%2Fb"), std::string("..%2F.."), std::string("a%00b"),
        std::string("a%zz"), std::string("a%"), std::string(64, 'a'), std::string("a.b"),
        std::string("%C3%A4"), std::string("a/b"), std::string("-a")}) {
    for (const char* method : {"GET", "PUT", "DELETE"}) {
      EXPECT_EQ(Refusal(Ask(method, "/v1/accounts/" + name, "{}")), "400 Invalid") << name;
    }
  }
  for (const char* path : {"/", "//", "/v1", "/v1/", "/v2/accounts", "/v1/objects/x", "/healthz/",
                           "/metrics/../v1/accounts", ""}) {
    EXPECT_EQ(Refusal(Ask("GET", path)), "404 NotFound") << path;
  }
  EXPECT_EQ(Refusal(Ask("POST", "/v1/accounts")), "404 NotFound");
  EXPECT_EQ(Refusal(Ask("PATCH", "/v1/accounts/a")), "405 MethodNotAllowed");
  EXPECT_EQ(Refusal(Ask("GET", "/v1/enrolment-tokens")), "404 NotFound");
}

TEST_F(RestServiceTest, ADeleteMustSayWhichAccount) {
  ASSERT_EQ(PutAccount("prod")->code, 200);
  EXPECT_EQ(Refusal(Ask("DELETE", "/v1/accounts/prod")), "400 Invalid");
  EXPECT_EQ(Refusal(Ask("DELETE", "/v1/accounts/prod?uid=zz")), "400 Invalid");
  EXPECT_EQ(Refusal(Ask("DELETE", "/v1/accounts/prod?uid=" + std::string(32, '0'))),
            "409 Conflict");
  EXPECT_EQ(Refusal(Ask("DELETE", "/v1/accounts/none?uid=" + std::string(32, '0'))),
            "404 NotFound");
  EXPECT_EQ(Ask("GET", "/v1/accounts/prod")->code, 200);
}

TEST_F(RestServiceTest, ObjectsComeInPagesEachOnceAndBodiesAsTheyAreStored) {
  const std::string uid = Parsed(PutAccount("prod")->body)["uid"].asString();
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) names.push_back("pod-" + std::to_string(100 + i));
  PutRows(uid, names);
  std::multiset<std::string> seen;
  std::string token;
  int pages = 0;
  do {
    const auto page = Ask("GET", "/v1/objects?account=prod&limit=10&continue=" + token);
    ASSERT_EQ(page->code, 200) << page->body;
    const Json::Value body = Parsed(page->body);
    EXPECT_LE(body["objects"].size(), 10U);
    for (const Json::Value& one : body["objects"]) seen.insert(one["name"].asString());
    token = net::PercentEncode(body["continue"].asString());
  } while (!token.empty() && ++pages < 10);
  EXPECT_EQ(seen, std::multiset<std::string>(names.begin(), names.end()));
  const auto one = Ask("GET", "/v1/objects?kind=POD&namespace=shop&name=pod-101&body=true");
  EXPECT_THAT(one->body, HasSubstr(R"("body":{"big":9007199254740993,"name":"pod-101"}})"));
  EXPECT_EQ(Parsed(one->body)["objects"].size(), 1U);
  const auto none = Ask("GET", "/v1/objects?kind=deployments");
  EXPECT_EQ(none->code, 200);
  EXPECT_EQ(Parsed(none->body)["objects"], Json::Value(Json::arrayValue));
}

TEST_F(RestServiceTest, BadQueriesOfObjectsAreRefused) {
  ASSERT_EQ(PutAccount("prod")->code, 200);
  for (const char* query : {"limit=0", "limit=-1", "limit=5001", "limit=x", "limit=10x",
                            "limit=99999999999999999999", "continue=nonsense", "continue=%00%01"}) {
    EXPECT_EQ(Refusal(Ask("GET", std::string("/v1/objects?") + query)), "400 Invalid") << query;
  }
  EXPECT_EQ(Refusal(Ask("GET", "/v1/objects?account=none")), "404 NotFound");
  EXPECT_EQ(Refusal(Ask("GET", "/v1/accounts/none/freshness")), "404 NotFound");
}

TEST_F(RestServiceTest, FreshnessOfAnAccountWithoutAgentsIsEmpty) {
  ASSERT_EQ(PutAccount("prod")->code, 200);
  const auto answer = Ask("GET", "/v1/accounts/prod/freshness");
  EXPECT_EQ(answer->code, 200);
  EXPECT_EQ(Parsed(answer->body)["watches"], Json::Value(Json::arrayValue));
}

TEST_F(RestServiceTest, FreshnessTellsWhereEachWatchOfTheAccountIs) {
  ASSERT_EQ(PutAccount("other")->code, 200);
  const std::string uid = Parsed(PutAccount("prod")->body)["uid"].asString();
  PutRows(uid, {"a", "b"});
  const Json::Value watches = Parsed(Ask("GET", "/v1/accounts/prod/freshness")->body)["watches"];
  ASSERT_EQ(watches.size(), 1U);
  EXPECT_EQ(watches[0]["resource"], "pods");
  EXPECT_EQ(watches[0]["watch"], "");
  EXPECT_EQ(watches[0]["resourceVersion"], "6");
  EXPECT_EQ(watches[0]["count"], 2);
  EXPECT_EQ(watches[0]["held"], 0);
  EXPECT_GE(watches[0]["ageMs"].asInt64(), 0);
  EXPECT_LT(watches[0]["ageMs"].asInt64(), 60'000);
  EXPECT_EQ(Parsed(Ask("GET", "/v1/accounts/other/freshness")->body)["watches"],
            Json::Value(Json::arrayValue));
}

TEST_F(RestServiceTest, FreshnessHasAStateForEachWatchAndOneForAll) {
  base::U128 uid;
  ASSERT_TRUE(base::FromHex(Parsed(PutAccount("prod")->body)["uid"].asString(), &uid));
  PutRows(base::ToHex(uid), {"a"});
  AccountLive live;
  live.granted = true;
  board_.Set(uid, live);
  AccountFreshness said;
  said.granted_at = said.reported_at = base::Clock::Real().Now();
  said.reported = true;
  said.fresh_ms = 0;
  said.watches = {{"apps", "deployments", "", "Forbidden", "403", {}}};
  board_.SetFreshness(uid, said);
  const Json::Value answer = Parsed(Ask("GET", "/v1/accounts/prod/freshness")->body);
  ASSERT_EQ(answer["watches"].size(), 2U);
  EXPECT_EQ(answer["watches"][0]["state"], "InSync");
  EXPECT_EQ(answer["watches"][0]["verifiedAgeMs"], -1);
  EXPECT_EQ(answer["watches"][1]["resource"], "deployments");
  EXPECT_EQ(answer["watches"][1]["state"], "Forbidden");
  EXPECT_EQ(answer["watches"][1]["detail"], "403");
  EXPECT_EQ(answer["state"], "Forbidden");
}

TEST_F(RestServiceTest, ActionsOfAnAccountHaveTheirMethodsAndRoles) {
  ASSERT_EQ(PutAccount("prod")->code, 200);
  EXPECT_EQ(Refusal(Ask("POST", "/v1/accounts/prod/freshness")), "405 MethodNotAllowed");
  for (const char* action : {"audit", "confirm-deletes"}) {
    const std::string path = std::string("/v1/accounts/prod/") + action;
    EXPECT_EQ(Refusal(Ask("GET", path)), "405 MethodNotAllowed");
    EXPECT_EQ(Refusal(Ask("POST", std::string("/v1/accounts/none/") + action)), "404 NotFound");
    net::HttpServerRequest viewer = Request("POST", path);
    viewer.peer_uris = {"spiffe://test/role/viewer"};
    EXPECT_EQ(Refusal(Ask(viewer)), "403 Forbidden");
  }
  EXPECT_EQ(Refusal(Ask("GET", "/v1/accounts/prod/anything")), "400 Invalid");
}

TEST_F(RestServiceTest, AnAuditIsOrderedOfEveryKindOrOfOneThatIsThere) {
  const std::string uid = Parsed(PutAccount("prod")->body)["uid"].asString();
  PutRows(uid, {"a"});
  EXPECT_EQ(Ask("POST", "/v1/accounts/prod/audit")->code, 200);
  EXPECT_EQ(Ask("POST", "/v1/accounts/prod/audit?kind=POD")->code, 200);
  EXPECT_EQ(Ask("POST", "/v1/accounts/prod/audit?kind=pods&group=")->code, 200);
  EXPECT_EQ(Refusal(Ask("POST", "/v1/accounts/prod/audit?kind=pods&group=apps")), "404 NotFound");
  EXPECT_EQ(Refusal(Ask("POST", "/v1/accounts/prod/audit?kind=job")), "404 NotFound");
  EXPECT_EQ(signal_.Get([&] { return actions_.audits; }),
            (std::vector<std::string>{uid + " ", uid + " pods", uid + " pods"}));
  actions_.held = false;
  EXPECT_EQ(Refusal(Ask("POST", "/v1/accounts/prod/audit")), "409 Conflict");
}

TEST_F(RestServiceTest, ConfirmedDeletesAreThoseStillHeldOfTheKindAndFenceTheHolder) {
  const std::string uid = Parsed(PutAccount("prod")->body)["uid"].asString();
  PutRows(uid, {"a", "b", "c"});
  EXPECT_EQ(Parsed(Ask("POST", "/v1/accounts/prod/confirm-deletes")->body)["deleted"], 0);
  EXPECT_TRUE(signal_.Get([&] { return actions_.fenced.empty(); })) << "nobody is disturbed";
  bool done = false;
  ASSERT_TRUE(writer_
                  ->Do([&](store::Store& store) {
                    EXPECT_TRUE(store.connection()
                                    .Execute("UPDATE objects SET held = 1 WHERE name IN ('a', 'b')")
                                    .ok());
                    signal_.Update([&] { done = true; });
                  })
                  .ok());
  ASSERT_TRUE(signal_.Wait([&] { return done; }));
  EXPECT_EQ(Parsed(Ask("POST", "/v1/accounts/prod/confirm-deletes?kind=job")->body)["deleted"], 0);
  EXPECT_EQ(Parsed(Ask("POST", "/v1/accounts/prod/confirm-deletes?kind=pod")->body)["deleted"], 2);
  EXPECT_EQ(signal_.Get([&] { return actions_.fenced; }), (std::vector<std::string>{uid}));
  const Json::Value watches = Parsed(Ask("GET", "/v1/accounts/prod/freshness")->body)["watches"];
  EXPECT_EQ(watches[0]["count"], 1);
  EXPECT_EQ(watches[0]["held"], 0);
}

TEST_F(RestServiceTest, AWatchBeginsWithTheListAndThenTellsChanges) {
  ASSERT_EQ(PutAccount("one")->code, 200);
  const auto watch = Start(Request("GET", "/v1/accounts?watch=true"));
  const auto sees = [&](const std::string& text) {
    return signal_.Wait([&] { return watch->body.find(text) != std::string::npos; });
  };
  ASSERT_TRUE(sees("{\"type\":\"SYNCED\"}\n"));
  EXPECT_EQ(watch->type, "application/x-ndjson");
  const Json::Value first = Parsed(watch->body.substr(0, watch->body.find('\n')));
  EXPECT_EQ(first["type"].asString(), "PUT");
  EXPECT_EQ(first["account"]["name"].asString(), "one");
  const Json::Value two = Parsed(PutAccount("two")->body);
  EXPECT_TRUE(sees(R"("name":"two")"));
  Ask("DELETE", "/v1/accounts/two?uid=" + two["uid"].asString());
  EXPECT_TRUE(sees("{\"type\":\"DELETED\",\"name\":\"two\"}\n"));
  service_->AccountChanged("one");
  EXPECT_TRUE(signal_.Wait([&] {
    const size_t at = watch->body.find("DELETED");
    return watch->body.find(R"("name":"one")", at) != std::string::npos;
  }));
}

// A database that is silent is waited for half a minute; a probe of liveness is not.
TEST_F(RestServiceTest, AReadThatStandsStillHoldsUpNoOtherRequest) {
  std::promise<void> answers;
  reads_.Post([&] { answers.get_future().wait(); });
  const auto objects = Start(Request("GET", "/v1/objects"));
  EXPECT_EQ(Ask("GET", "/healthz")->code, 200);
  EXPECT_EQ(PutAccount("one")->code, 200);
  EXPECT_EQ(objects->code, 0);
  answers.set_value();
  EXPECT_TRUE(signal_.Wait([&] { return objects->ended; }));
  EXPECT_EQ(objects->code, 200);
}

TEST_F(RestServiceTest, WatchesAreBoundedAndThoseThatLeftMakeRoom) {
  std::vector<std::shared_ptr<Answered>> watches;
  for (int i = 0; i < 64; ++i) {
    watches.push_back(Start(Request("GET", "/v1/accounts?watch=true")));
    ASSERT_TRUE(signal_.Wait([&] { return !watches.back()->body.empty(); }));
  }
  EXPECT_EQ(Refusal(Ask("GET", "/v1/accounts?watch=true")), "503 Unavailable");
  for (const auto& watch : watches) watch->hung_up = true;
  ASSERT_EQ(PutAccount("one")->code, 200);
  // A watch is found to have left when the change is written to it, on a thread of its own.
  int code = 0;
  for (int tries = 0; code != 200 && tries < 500; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const auto next = Start(Request("GET", "/v1/accounts?watch=true"));
    ASSERT_TRUE(signal_.Wait([&] { return next->code != 0; }));
    code = next->code;
  }
  EXPECT_EQ(code, 200);
}

TEST_F(RestServiceTest, AnEnrolmentTokenIsMadeForOneIdentity) {
  const auto answer =
      Ask("POST", "/v1/enrolment-tokens", R"({"identity":"prod-eu1","lifetimeSeconds":60})");
  ASSERT_EQ(answer->code, 200) << answer->body;
  const Json::Value token = Parsed(answer->body);
  EXPECT_GE(token["token"].asString().size(), 32U);
  EXPECT_GT(token["expiresMs"].asInt64(), base::Clock::Real().WallMs());
  for (const char* body : {R"({"identity":""})", R"({"identity":"a/b"})",
                           R"({"lifetimeSeconds":60})", R"({"identity":"a","lifetimeSeconds":0})",
                           R"({"identity":"a","lifetimeSeconds":2592001})"}) {
    EXPECT_EQ(Refusal(Ask("POST", "/v1/enrolment-tokens", body)), "400 Invalid") << body;
  }
}

TEST_F(RestServiceTest, AValueOfAnotherTypeIsRefusedAndNotTakenForAbsent) {
  for (const char* rest : {R"("generation":"3",)", R"("generation":1.5,)", R"("owner":7,)",
                           R"("ownerUid":null,)", R"("previousOwnerUid":[],)"}) {
    EXPECT_EQ(Refusal(PutAccount("prod", rest)), "400 Invalid") << rest;
  }
  EXPECT_EQ(
      Refusal(Ask("POST", "/v1/enrolment-tokens", R"({"identity":"a","lifetimeSeconds":"60"})")),
      "400 Invalid");
}

TEST_F(RestServiceTest, WithoutItsWriterNothingIsWrittenAndItIsSaid) {
  writer_->Stop(base::seconds(1));
  EXPECT_EQ(Refusal(PutAccount("prod")), "503 Unavailable");
  EXPECT_EQ(Refusal(Ask("GET", "/v1/accounts")), "503 Unavailable");
}

}  // namespace
}  // namespace fairlead::endpoint
