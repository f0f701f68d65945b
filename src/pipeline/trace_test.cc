#include "pipeline/trace.h"

#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>

namespace sparsevid {
namespace {

/// Marks are passed at the times it is told, in order.
class ToldClock final : public DeviceClock {
 public:
  explicit ToldClock(std::deque<double> times) : times_(std::move(times)) {}
  Mark mark() override {
    marks_.push_back(times_.front());
    times_.pop_front();
    ++in_use;
    return &marks_.back();
  }
  double between(Mark from, Mark to) override {
    return *static_cast<double*>(to) - *static_cast<double*>(from);
  }
  void release(Mark mark) override {
    *static_cast<double*>(mark) = -1e9;  // a difference to it would show
    --in_use;
  }
  int in_use = 0;

 private:
  std::deque<double> times_;
  std::deque<double> marks_;
};

TEST(Trace, ZonesOfADeviceStandWhereTheyRan) {
  ToldClock clock({100, 100, 101, 103, 104, 105, 109, 110});
  Profile profile;
  std::vector<Span> spans;
  profile.use(&clock);
  profile.trace(&spans);
  const double before = now_seconds();
  {
    const Zone outer(profile, "outer");
    { const Zone inner(profile, "inner", 7); }
    profile.settle();
    { const Zone next(profile, "next"); }
  }
  profile.settle();
  ASSERT_EQ(spans.size(), 3U);
  const double origin = spans[2].start;
  EXPECT_GE(origin, before);
  EXPECT_LE(origin, now_seconds());
  EXPECT_EQ(spans[0].zone, "inner");
  EXPECT_EQ(spans[0].index, 7);
  EXPECT_NEAR(spans[0].start - origin, 1, 1e-9);
  EXPECT_NEAR(spans[0].seconds, 2, 1e-9);
  EXPECT_EQ(spans[1].zone, "next");
  EXPECT_NEAR(spans[1].start - origin, 4, 1e-9);
  EXPECT_NEAR(spans[1].seconds, 1, 1e-9);
  EXPECT_EQ(spans[2].zone, "outer");
  EXPECT_NEAR(spans[2].seconds, 9, 1e-9);
  EXPECT_EQ(clock.in_use, 1);  // from where the next zones are measured
  EXPECT_NEAR(profile.seconds("outer"), 9, 1e-9);
}

TEST(Trace, WithoutATraceEveryMarkIsGivenBack) {
  ToldClock clock({1, 2, 3, 4});
  Profile profile;
  profile.use(&clock);
  { const Zone zone(profile, "a"); }
  { const Zone zone(profile, "a"); }
  profile.settle();
  EXPECT_EQ(clock.in_use, 0);
  EXPECT_NEAR(profile.seconds("a"), 2, 1e-9);
}

TEST(Trace, TheFileHoldsOneEventForEachSpan) {
  const Trace trace = {.device = "H\"100",
                       .on_device = {{"op.linear.onednn", -1, 12.5, 0.25}, {"dit.block", 3, 12, 1}},
                       .on_host = {{"sampling", -1, 11, 4}}};
  const auto json = nlohmann::json::parse(to_json(trace));
  const auto& events = json.at("traceEvents");
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[1]["args"]["name"], "H\"100");
  EXPECT_EQ(events[2]["name"], "sampling");
  EXPECT_EQ(events[2]["ts"], 0);
  EXPECT_EQ(events[2]["dur"], 4e6);
  EXPECT_EQ(events[3]["name"], "linear.onednn");
  EXPECT_EQ(events[3]["cat"], "op");
  EXPECT_EQ(events[3]["ts"], 1.5e6);
  EXPECT_EQ(events[4]["name"], "dit.block 3");
  EXPECT_NE(events[4]["tid"], events[2]["tid"]);
}

}  // namespace
}  // namespace sparsevid
