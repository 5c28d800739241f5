#include "unit/endpoint/session/hub_scene.h"

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HubTest : public HubScene {};

TEST_F(HubTest, GrantsToTheFirstClaimAndToTheStandbyWhenThatGoes) {
  auto first = Connect("one");
  auto second = Connect("two");
  first->Claim("prod");
  second->Claim("prod");
  ASSERT_NE(first->grant(), nullptr);
  EXPECT_EQ(second->grant(), nullptr);
  const uint64_t term = first->grant()->term();
  first->Leave();
  ASSERT_NE(second->grant(), nullptr);
  EXPECT_GT(second->grant()->term(), term);
}

TEST_F(HubTest, AStandbyTakesOverWhenTheBeatsStop) {
  auto first = Connect("one");
  auto second = Connect("two");
  first->Claim("prod");
  second->Claim("prod");
  for (int i = 0; i < 100 && second->grant() == nullptr; ++i) {
    second->Beat();
    loop_.Advance(milliseconds(100));
  }
  EXPECT_NE(second->grant(), nullptr);
  EXPECT_THAT(first->Revoked(), ElementsAre("BeatsStopped"));
}

TEST_F(HubTest, ADeletedAccountIsRevoked) {
  auto agent = Holder();
  hub_->RemoveAccount({0, 1});
  agent->Settle();
  EXPECT_THAT(agent->Revoked(), ElementsAre("AccountDeleted"));
  agent->Claim("prod");
  EXPECT_EQ(agent->grant(), nullptr);
}

TEST_F(HubTest, ClaimsThatAreNotEligibleAreRefusedWithTheirReason) {
  PutAccount("pinned", 2, "1", "uid-of-the-cluster");
  auto agent = Connect("one");
  agent->Claim("nobody");
  agent->Claim("pinned", "another");
  auto stranger = Connect("two", "stranger");
  stranger->Claim("prod");
  EXPECT_THAT(agent->Refusals(), ElementsAre("UnknownAccount", "ClusterUidMismatch"));
  EXPECT_THAT(stranger->Refusals(), ElementsAre("IdentityNotTrusted"));
  EXPECT_EQ(agent->grant(), nullptr);
}

TEST_F(HubTest, AcknowledgesOnlyWhatIsCommittedAndWithCredit) {
  auto agent = Holder();
  writer_->SetPaused(true);
  agent->SendBatch(Upserts("a"));
  EXPECT_THAT(agent->Acks(), IsEmpty());
  writer_->Plan({sim::WriteFault::Kind::kCommitLost});
  writer_->SetPaused(false);
  agent->Settle();
  EXPECT_THAT(agent->Acks(), IsEmpty()) << "the commit failed";
  EXPECT_THAT(Rows(), IsEmpty());
  loop_.Advance(milliseconds(200));
  ASSERT_THAT(agent->Acks(), SizeIs(1));
  EXPECT_EQ(agent->Acks()[0].seq(), 1U);
  EXPECT_GT(agent->Acks()[0].credit_bytes(), 0U);
  EXPECT_THAT(Rows(), ElementsAre("a"));
}

TEST_F(HubTest, ABatchOfAnotherAgentsAccountLandsNothing) {
  auto holder = Holder();
  auto hostile = Connect("two");
  PutAccount("other", 2);
  hostile->Claim("other");
  hostile->OpenChanges();
  ASSERT_NE(hostile->grant(), nullptr);
  // As the holder would say it, over the stranger's stream.
  const v1::Grant stolen = *holder->grant();
  hostile->control.messages.emplace_back();
  *hostile->control.messages.back().mutable_grant() = stolen;
  hostile->SendBatch(Upserts("a"));
  EXPECT_THAT(Rows(1), IsEmpty());
  EXPECT_THAT(Rows(2), IsEmpty());
  EXPECT_THAT(holder->Revoked(), IsEmpty());
}

TEST_F(HubTest, AMissingBatchEndsTheGrantAndAnotherBegins) {
  auto agent = Holder();
  agent->SendBatch(Upserts("a"), 2);
  EXPECT_THAT(agent->Revoked(), SizeIs(1));
  loop_.Advance(seconds(1) + milliseconds(500));
  EXPECT_NE(agent->grant(), nullptr);
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(HubTest, RowsThatFellOutOfTheScopeGoBeforeTheNextGrant) {
  auto agent = Holder();
  v1::Payload payload = Upserts("a");
  payload.add_entries()->mutable_checkpoint()->set_resource_version("10");
  agent->SendBatch(payload);
  EXPECT_THAT(Rows(), ElementsAre("a"));
  const uint64_t term = agent->grant()->term();
  PutAccount("prod", 1, "2", "", {"deployment"});
  loop_.Advance(seconds(2));
  EXPECT_THAT(Rows(), IsEmpty());
  ASSERT_NE(agent->grant(), nullptr);
  EXPECT_GT(agent->grant()->term(), term);
  EXPECT_EQ(agent->grant()->last_seq(), 2U);
  // What it sends goes on behind.
  agent->SendBatch(Upserts("b"), 3);
  EXPECT_THAT(Rows(), ElementsAre("b"));
}

TEST_F(HubTest, WhatCannotBeStoredIsToldUntilItIs) {
  auto agent = Holder();
  v1::Payload bad = PayloadOf();
  AddUpsert(&bad, "a", Body("a"))->set_content_hash(std::string(16, 'x'));
  agent->SendBatch(bad);
  loop_.Advance(seconds(1));
  EXPECT_EQ(board_.Get({0, 1}).refused, 1U);
  EXPECT_THAT(board_.Get({0, 1}).refused_objects,
              ElementsAre("pods ns/a: the body does not have the hash it came with"));
  agent->SendBatch(Upserts("a"));
  loop_.Advance(seconds(1));
  EXPECT_EQ(board_.Get({0, 1}).refused, 0U);
}

TEST_F(HubTest, AListThatWasNotAdmittedEndsTheGrant) {
  auto agent = Holder();
  v1::Payload payload = PayloadOf();
  AddBegin(&payload, 's');
  AddPage(&payload, 's', "a", Body("a"));
  agent->SendBatch(payload);
  EXPECT_THAT(agent->Revoked(), SizeIs(1));
}

TEST_F(HubTest, AFloodOfMessagesEndsTheSession) {
  auto agent = Holder();
  for (int i = 0; i < 30'000; ++i) agent->Beat();
  agent->Settle();
  EXPECT_TRUE(agent->control.closed);
}

TEST_F(HubTest, AnAgentIsToldWhyItsSessionEnds) {
  auto agent = Holder();
  for (int i = 0; i < 30'000; ++i) agent->Beat();
  agent->Settle();
  EXPECT_EQ(agent->control.why, absl::AbortedError("too many messages"));
  EXPECT_EQ(agent->changes.why, absl::AbortedError("too many messages"));
}

TEST_F(HubTest, MoreSessionsOfAnIdentityThanMayBeAreRefusedUntilOneEnds) {
  auto one = Connect("one");
  auto two = Connect("two");
  auto third = Connect("three");
  EXPECT_EQ(third->control.why,
            absl::ResourceExhaustedError("identity agent has 2 sessions, as many as may be"));
  EXPECT_FALSE(Connect("other", "other")->control.closed);
  two->Leave();
  EXPECT_FALSE(Connect("four")->control.closed);
}

TEST_F(HubTest, PositionsWaitForAnAgentThatIsSlowToReadThem) {
  constexpr int kPositions = 9000;
  registry::Account account{.uid = {0, 1}, .name = "prod", .hash = "2"};
  account.spec.identities = {"agent"};
  v1::Payload payload = PayloadOf();
  for (int i = 0; i < kPositions; ++i) {
    account.spec.access_namespaces.push_back(base::StrCat("namespace-", i));
    v1::Checkpoint* checkpoint = payload.add_entries()->mutable_checkpoint();
    checkpoint->set_resource_version("10");
    checkpoint->set_watch(account.spec.access_namespaces.back());
    checkpoint->add_anchors()->set_name(std::string(200, 'n'));
  }
  PutAccount(account);
  auto agent = Holder();
  agent->SendBatch(payload);
  agent->Leave();
  network_.Stall(fakes::MemoryAgentNetwork::Lane::kChangesDown, true);
  auto next = Holder();
  loop_.Advance(seconds(1));
  network_.Stall(fakes::MemoryAgentNetwork::Lane::kChangesDown, false);
  loop_.Run();
  size_t bytes = 0;
  int before = 0;
  for (const v1::ChangesDown& one : next->changes.messages) {
    bytes += one.ByteSizeLong();
    before += one.positions().positions_size();
    EXPECT_FALSE(one.positions().last());
  }
  EXPECT_LT(bytes, size_t{5} << 18) << "a message more than a mebibyte";
  EXPECT_LT(before, kPositions);
  for (int i = 0; i < 3; ++i) {
    next->Beat();
    loop_.Advance(milliseconds(500));
  }
  std::set<std::string> watches;
  for (const v1::ChangesDown& one : next->changes.messages) {
    for (const v1::Position& position : one.positions().positions())
      watches.insert(position.watch());
  }
  EXPECT_EQ(watches.size(), static_cast<size_t>(kPositions));
  EXPECT_TRUE(next->changes.messages.back().positions().last());
}

TEST_F(HubTest, WhoDoesNotSayHelloInTimeIsClosed) {
  auto channel = network_.Connect({.identity = "agent", .address = "x"});
  Received<v1::ControlDown> control;
  Received<v1::ChangesDown> changes;
  const auto control_out = channel->OpenControl(&control);
  const auto changes_out = channel->OpenChanges(&changes);
  loop_.Advance(seconds(10));
  EXPECT_FALSE(control.closed || changes.closed);
  loop_.Advance(seconds(15));
  EXPECT_TRUE(control.closed && changes.closed);
}

TEST_F(HubTest, ABatchInFragmentsIsABatchAndAMarkBehindItIsEchoed) {
  auto agent = Holder();
  agent->SendFragments(agent->BatchOf(Upserts("a").SerializeAsString()), 50);
  EXPECT_THAT(Rows(), ElementsAre("a"));
  v1::ChangesUp mark;
  mark.mutable_mark()->set_number(42);
  agent->SendUp(mark);
  ASSERT_TRUE(agent->changes.messages.back().has_mark());
  EXPECT_EQ(agent->changes.messages.back().mark().number(), 42U);
}

TEST_F(HubTest, ABatchIsReadWithThoseBeforeIt) {
  auto agent = Holder();
  ASSERT_TRUE(agent->grant()->prefix());
  wire::PayloadHistory history;
  for (const char* name : {"a", "b"}) {
    const auto encoded = wire::EncodePayload(Upserts(name), v1::CODEC_ZSTD, &history);
    v1::ChangesUp message = agent->BatchOf(encoded->bytes);
    message.mutable_batch()->set_codec(v1::CODEC_ZSTD);
    message.mutable_batch()->set_raw_bytes(encoded->raw_bytes);
    message.mutable_batch()->set_prefixed(true);
    agent->SendUp(message);
  }
  EXPECT_THAT(Rows(), ElementsAre("a", "b"));
}

TEST_F(HubTest, FragmentsThatAreNoMessageEndTheSession) {
  auto agent = Holder();
  v1::ChangesUp piece;
  piece.mutable_fragment()->set_data("\xff\xff");
  piece.mutable_fragment()->set_last(true);
  agent->SendUp(piece);
  EXPECT_TRUE(agent->changes.closed);
}

TEST_F(HubTest, ABatchOfAnotherTermIsDropped) {
  auto agent = Holder();
  agent->term = agent->grant()->term() + 1;
  agent->SendBatch(Upserts("a"));
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_THAT(agent->Revoked(), IsEmpty());
}

TEST_F(HubTest, GarbageEndsTheGrant) {
  auto agent = Holder();
  agent->SendRaw("\xff\xff\xff garbage");
  EXPECT_THAT(agent->Revoked(), SizeIs(1));
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(HubTest, FarMoreThanTheCreditEndsTheGrant) {
  auto agent = Holder();
  writer_->SetPaused(true);
  const std::string large = Body("a", R"(,"x":")" + std::string(3 << 20, 'x') + "\"");
  for (int i = 0; i < 3; ++i) {
    if (agent->grant() == nullptr) break;
    v1::Payload payload = PayloadOf();
    AddUpsert(&payload, "a", large);
    agent->SendBatch(payload);
  }
  EXPECT_THAT(agent->Revoked(), SizeIs(1));
  EXPECT_LT(writer_->queued_bytes(), size_t{8} << 20);
}

TEST_F(HubTest, ChangesOpenOnlyWithTheSessionOfTheSameCertificate) {
  auto holder = Connect("one");
  holder->Claim("prod");
  auto stranger = Connect("two", "stranger");
  stranger->OpenChanges(holder->session_id());
  EXPECT_TRUE(stranger->changes.closed);
  EXPECT_THAT(stranger->changes.messages, IsEmpty());
  holder->OpenChanges();
  EXPECT_THAT(holder->changes.messages, SizeIs(1)) << "its positions";
}

TEST_F(HubTest, ASecretWithValuesIsRefusedAlone) {
  auto agent = Holder();
  v1::Payload payload = PayloadOf("secrets");
  AddUpsert(&payload, "leaky", Body("leaky", R"(,"data":{"p":"dmFsdWU="})"));
  AddUpsert(&payload, "clean", Body("clean"));
  agent->SendBatch(payload);
  EXPECT_THAT(Rows(), ElementsAre("clean"));
  ASSERT_THAT(agent->Acks(), SizeIs(1));
  ASSERT_EQ(agent->Acks()[0].refused_size(), 1);
  EXPECT_EQ(agent->Acks()[0].refused(0).name(), "leaky");
}

// Invariant 4: what was refused exists all the same.
TEST_F(HubTest, ARefusedItemOfAPageDoesNotDeleteItsRow) {
  auto agent = Holder();
  agent->SendBatch(Upserts("a"));
  agent->Ask('s');
  v1::Payload payload = PayloadOf();
  AddBegin(&payload, 's');
  v1::SnapshotItem* item = AddPage(&payload, 's', "a", Body("a"));
  item->set_body("not JSON");
  AddEnd(&payload, 's');
  agent->SendBatch(payload);
  EXPECT_THAT(Rows(), ElementsAre("a"));
  EXPECT_EQ(agent->Acks().back().refused_size(), 1);
}

// The first answer alone would let the agent end the snapshot before it has sent the bodies that
// the others ask for: rows were lost that way.
TEST_F(HubTest, OnlyTheLastAnswerToABatchOfPagesSaysThatAllAreAnswered) {
  auto agent = Holder();
  agent->Ask('s');
  v1::Payload payload = PayloadOf();
  AddBegin(&payload, 's');
  AddPage(&payload, 's', "a", Body("a"));
  AddPage(&payload, 's', "b", Body("b"));
  agent->SendBatch(payload);
  std::vector<std::string> wants;
  for (const auto& one : agent->changes.messages) {
    if (!one.has_want()) continue;
    wants.push_back(one.want().names(0).name() + " " + std::to_string(one.want().through_seq()));
  }
  EXPECT_THAT(wants, ElementsAre("a 0", "b 1"));
}

TEST_F(HubTest, SnapshotsAreAdmittedOneForAnotherAndAtTheEndOfAGrant) {
  auto agent = Holder();
  for (const char id : {'1', '2', '3', '4'}) agent->Ask(id);
  EXPECT_EQ(agent->Admitted(), "12");
  v1::Payload payload = PayloadOf();
  AddBegin(&payload, '1');
  AddEnd(&payload, '1');
  agent->SendBatch(payload);
  EXPECT_EQ(agent->Admitted(), "123");

  PutAccount("other", 2);
  auto other = Connect("two");
  other->Claim("other");
  other->OpenChanges();
  other->Ask('5');
  EXPECT_EQ(other->Admitted(), "") << "after those that asked before";
  agent->Leave();
  EXPECT_EQ(other->Admitted(), "5");
}

TEST_F(HubTest, ASnapshotWithoutAnEndHoldsItsPlaceForTenMinutesAtMost) {
  auto agent = Holder();
  for (const char id : {'1', '2', '3'}) agent->Ask(id);
  loop_.Advance(minutes(9));
  EXPECT_EQ(agent->Admitted(), "12");
  loop_.Advance(minutes(2));
  EXPECT_EQ(agent->Admitted(), "123");
}

}  // namespace
}  // namespace fairlead::endpoint
