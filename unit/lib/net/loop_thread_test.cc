#include "lib/net/loop_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

namespace fairlead::net {
namespace {

TEST(LoopThread, RunsWhatManyThreadsPostOnItsOwnThreadInOrder) {
  LoopThread loop("test");
  loop.Start();
  std::vector<std::vector<int>> seen(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < seen.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        loop.Post([&, t, i] {
          EXPECT_TRUE(loop.OnLoopThread());
          seen[t].push_back(i);
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::promise<void> done;
  loop.Post([&] { done.set_value(); });
  done.get_future().wait();
  loop.Stop();
  EXPECT_FALSE(loop.OnLoopThread());
  for (const auto& one : seen) {
    ASSERT_EQ(one.size(), 1000U);
    EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
  }
}

TEST(LoopThread, ADestroyedTimerNeverFiresEvenWhenItIsDue) {
  LoopThread loop("test");
  bool fired = false;
  loop.Post([&] {
    auto timer = std::make_shared<std::vector<std::unique_ptr<base::Timer>>>();
    for (const base::Duration delay :
         {base::milliseconds(-1), base::milliseconds(0), base::milliseconds(1)}) {
      timer->push_back(loop.After(delay, [&] { fired = true; }));
    }
    const base::Time until = loop.clock().Now() + base::milliseconds(5);
    while (loop.clock().Now() < until) {
    }
    timer->clear();
    loop.Post([&] { loop.Quit(); });
  });
  loop.Run();
  EXPECT_FALSE(fired);
}

TEST(LoopThread, ATimerMayDestroyItself) {
  for (const int delay : {0, 1}) {
    LoopThread loop("test");
    std::unique_ptr<base::Timer> timer;
    loop.Post([&] {
      timer = loop.After(base::milliseconds(delay), [&] {
        timer.reset();
        loop.Quit();
      });
    });
    loop.Run();
    EXPECT_EQ(timer, nullptr);
  }
}

TEST(LoopThread, ADelayOfNothingRunsBehindWhatWasPosted) {
  LoopThread loop("test");
  std::vector<int> seen;
  loop.Post([&] { seen.push_back(1); });
  const auto timer = loop.After(base::Duration::zero(), [&] { seen.push_back(2); });
  loop.Post([&] { loop.Quit(); });
  loop.Run();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST(LoopThread, WhatIsPostedAfterStopIsDropped) {
  auto token = std::make_shared<int>(1);
  {
    LoopThread loop("test");
    loop.Start();
    loop.Stop();
    loop.Post([token] { FAIL(); });
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace fairlead::net
