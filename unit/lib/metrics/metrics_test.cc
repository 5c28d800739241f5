#include "lib/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::metrics {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, TheSameNameAndLabelsAreOneHandle) {
  Registry registry;
  Counter& one = registry.GetCounter("fairlead_test_total", "help", {{"account", "a"}});
  Counter& same = registry.GetCounter("fairlead_test_total", "help", {{"account", "a"}});
  Counter& other = registry.GetCounter("fairlead_test_total", "help", {{"account", "b"}});
  one.Add();
  same.Add(2);
  EXPECT_EQ(one.Value(), 3);
  EXPECT_EQ(other.Value(), 0);
}

TEST(Metrics, RenderIsPrometheusText) {
  Registry registry;
  registry.GetGauge("fairlead_test_bytes", "how many").Set(5);
  registry.GetHistogram("fairlead_test_seconds", "how long", {0.1, 1}).Observe(0.5);
  const std::string text = registry.Render();
  EXPECT_THAT(text, HasSubstr("# HELP fairlead_test_bytes how many\n"));
  EXPECT_THAT(text, HasSubstr("fairlead_test_bytes 5\n"));
  EXPECT_THAT(text, HasSubstr("fairlead_test_seconds_bucket{le=\"1\"} 1\n"));
}

}  // namespace
}  // namespace fairlead::metrics
