#include "cli/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "cli/answers.h"
#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

Json::Value J(const std::string& text) { return *json::ParseJson(text); }

AccountChange Account(const std::string& name) {
  return {name, false,
          J(R"({"name":")" + name +
            R"(","owner":"hub/ns/x","status":{"connected":true,"standbys":1,"state":"Running",)"
            R"("agentVersion":"0.1.0","kubernetesVersion":"v1.34.4","kinds":["pods: Forbidden"],)"
            R"("refused":2}})")};
}

TEST(AccountPrinter, ATableTellsTheAgentAndWhatIsNotWatched) {
  AccountPrinter printer(Output::kTable, false, true);
  EXPECT_EQ(
      printer.Print({Account("prod"), {"spare", false, J(R"({"name":"spare"})")}}),
      "NAME   AGENT      STANDBYS  STATE    VERSION  KUBERNETES  OWNER     NOT WATCHING     "
      "REFUSED\n"
      "prod   connected  1         Running  0.1.0    v1.34.4     hub/ns/x  pods: Forbidden  2\n"
      "spare  none       -         -        -        -           -         -                -\n");
}

TEST(ObjectPrinter, AnElementOfAnotherTypeReadsAsEmpty) {
  ObjectPrinter printer(Output::kTable, {});
  printer.Page(J("[1,{\"held\":\"yes\",\"name\":\"p\"}]"));
  EXPECT_THAT(printer.Finish(), ::testing::Not(HasSubstr("held")));
}

TEST(AccountPrinter, AWatchedDeletionIsARow) {
  AccountPrinter printer(Output::kTable, true, true);
  printer.Print({Account("prod")});
  EXPECT_THAT(printer.Print({{"prod", true, {}}}), ::testing::StartsWith("prod  deleted"));
}

TEST(AccountPrinter, OneNameIsTheAccountAndSeveralAreAList) {
  EXPECT_EQ(J(AccountPrinter(Output::kJson, false, false).Print({Account("prod")}))["name"],
            "prod");
  EXPECT_EQ(J(AccountPrinter(Output::kJson, false, true).Print({}))["accounts"].size(), 0U);
  EXPECT_EQ(AccountPrinter(Output::kYaml, false, true).Print({}), "accounts: []\n");
}

TEST(AccountPrinter, AWatchIsALineOrADocumentForEachChange) {
  const std::string lines =
      AccountPrinter(Output::kJson, true, true).Print({Account("prod"), {"old", true, {}}});
  const size_t end = lines.find('\n');
  EXPECT_EQ(J(lines.substr(0, end))["account"]["name"], "prod");
  EXPECT_EQ(lines.substr(end + 1), "{\"name\":\"old\",\"type\":\"DELETED\"}\n");
  EXPECT_EQ(AccountPrinter(Output::kYaml, true, true).Print({{"old", true, {}}}),
            "---\nname: old\ntype: DELETED\n");
}

Json::Value Objects(int count) {
  Json::Value out(Json::arrayValue);
  for (int i = 0; i < count; ++i) {
    out.append(J(R"({"accountUid":"u1","namespace":"shop","kind":"Deployment","group":"apps",)"
                 R"("name":"web","application":"shop","held":true})"));
  }
  return out;
}

TEST(ObjectPrinter, ATableNamesTheAccount) {
  ObjectPrinter printer(Output::kTable, {{"u1", "prod"}});
  const std::string page = printer.Page(Objects(1));
  EXPECT_EQ(page + printer.Finish(),
            "ACCOUNT  NAMESPACE  KIND             NAME  APPLICATION  HELD\n"
            "prod     shop       Deployment.apps  web   shop         held\n");
  ObjectPrinter none(Output::kTable, {});
  EXPECT_EQ(none.Page(Objects(0)), "");
  EXPECT_THAT(none.Finish(), HasSubstr("NAMESPACE"));
}

TEST(ObjectPrinter, PagesTogetherAreOneDocument) {
  for (const std::vector<int>& pages : std::vector<std::vector<int>>{{0}, {1}, {2, 1}, {2, 0, 3}}) {
    ObjectPrinter json(Output::kJson, {});
    ObjectPrinter yaml(Output::kYaml, {});
    std::string json_text, yaml_text;
    size_t rows = 0;
    for (const int count : pages) {
      json_text += json.Page(Objects(count));
      yaml_text += yaml.Page(Objects(count));
      rows += static_cast<size_t>(count);
    }
    json_text += json.Finish();
    yaml_text += yaml.Finish();
    EXPECT_EQ(J(json_text)["objects"].size(), rows);
    EXPECT_EQ(YAML::Load(yaml_text)["objects"].size(), rows);
    EXPECT_EQ(yaml_text.rfind("objects:"), 0U) << "the key stands once, also above no rows";
  }
}

TEST(Answers, AnErrorSaysWhatTheEndpointSaidAndWhatToDo) {
  const absl::Status status =
      AnswerError(401, R"({"error":{"reason":"Unauthorized","message":"show a \u001b[1m token"}})");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("show a ?[1m token; give --token-file FILE"));
  EXPECT_EQ(AnswerError(404, "{}").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(AnswerError(400, "{}").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AnswerError(503, "").code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(AnswerError(404, "<html>").message()), HasSubstr("--endpoint"));
}

TEST(Answers, WhyThereWasNoneNamesTheNextStep) {
  const auto of = [](const char* text) {
    return std::string(TransportError(absl::UnavailableError(text)).message());
  };
  EXPECT_THAT(of("https://e: Error in SSL handshake"), HasSubstr("check that --ca"));
  EXPECT_THAT(of("https://e: refused"), HasSubstr("check that the endpoint runs"));
  EXPECT_THAT(std::string(TransportError(absl::DeadlineExceededError("x")).message()),
              HasSubstr("timeoutSeconds"));
}

}  // namespace
}  // namespace fairlead::cli
