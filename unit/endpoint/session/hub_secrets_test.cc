#include "unit/endpoint/session/hub_scene.h"

// The endpoint's own layer before the values of Secrets: it takes nothing that agents must cut.
namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;

class HubSecretsTest : public HubScene {
 protected:
  // What became rows, and what was refused, of a first snapshot with these two bodies.
  void SendPages(const std::string& resource, const std::string& bad) {
    auto agent = Holder();
    agent->Ask('s');
    v1::Payload payload = PayloadOf(resource);
    AddBegin(&payload, 's');
    for (const auto& [name, body] : {std::pair<std::string, std::string>{"clean", Body("clean")},
                                     {"leaky", Body("leaky", bad)}}) {
      AddPage(&payload, 's', name, body)->set_body(body);
    }
    agent->SendBatch(payload);
    for (const v1::Ack& ack : agent->Acks()) {
      for (const v1::Refused& one : ack.refused()) refused_.push_back(one.name());
    }
  }
  std::vector<std::string> refused_;
};

TEST_F(HubSecretsTest, AValueInAPageIsRefusedAlone) {
  SendPages("secrets", R"(,"stringData":{"p":"value"})");
  EXPECT_THAT(Rows(), ElementsAre("clean"));
  EXPECT_THAT(refused_, ElementsAre("leaky"));
}

TEST_F(HubSecretsTest, DataOfAnotherKindIsNoSecret) {
  SendPages("configmaps", R"(,"data":{"p":"value"})");
  EXPECT_THAT(Rows(), ElementsAre("clean", "leaky"));
}

// The annotation repeats a Secret's values, and an agent cuts it from every kind.
TEST_F(HubSecretsTest, ALastAppliedAnnotationIsRefusedOfEveryKind) {
  auto agent = Holder();
  v1::Payload payload = PayloadOf("configmaps");
  AddUpsert(&payload, "leaky",
            R"({"metadata":{"name":"leaky","namespace":"ns","uid":"u","annotations":)"
            R"({"kubectl.kubernetes.io/last-applied-configuration":"{}"}}})");
  AddUpsert(&payload, "clean", Body("clean"));
  agent->SendBatch(payload);
  EXPECT_THAT(Rows(), ElementsAre("clean"));
  ASSERT_EQ(agent->Acks().size(), 1U);
  EXPECT_EQ(agent->Acks()[0].refused_size(), 1);
}

}  // namespace
}  // namespace fairlead::endpoint
