#include "text/clean_prompt.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "testing/golden.h"

namespace sparsevid {
namespace {

TEST(CleanPrompt, EqualsWansPipelineOnEveryGoldenPrompt) {
  const auto golden = read_golden_json("prompts.json");
  int cases = 0;
  for (const auto& item : golden.raw().at("cleaning")) {
    EXPECT_EQ(clean_prompt(item.at("text").get<std::string>()),
              item.at("cleaned").get<std::string>())
        << item.at("name");
    ++cases;
  }
  EXPECT_GE(cases, 50);
}

TEST(CleanPrompt, IsStableUnderRepetition) {
  const auto golden = read_golden_json("prompts.json");
  for (const auto& item : golden.raw().at("cleaning")) {
    const auto once = item.at("cleaned").get<std::string>();
    // Unescaping twice may leave text that a third round would unescape again.
    if (once.find('&') == std::string::npos) {
      EXPECT_EQ(clean_prompt(once), once);
    }
  }
}

TEST(CleanPrompt, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  const std::string fffd = "\xef\xbf\xbd";
  EXPECT_EQ(clean_prompt("a\xff"
                         "b"),
            "a" + fffd + "b");
  EXPECT_EQ(clean_prompt("\xe2\x82"), fffd + fffd);                        // cut off
  EXPECT_EQ(clean_prompt("\xc0\x80"), fffd + fffd);                        // overlong
  EXPECT_EQ(clean_prompt("\xed\xa0\x80"), fffd + fffd + fffd);             // a surrogate
  EXPECT_EQ(clean_prompt("\xf4\x90\x80\x80"), fffd + fffd + fffd + fffd);  // beyond U+10FFFF
}

TEST(CleanPrompt, TagsKeepFtfyFromUnescapingThatLineAndTheRest) {
  // The apostrophe written as a reference is only straightened where ftfy unescapes.
  EXPECT_EQ(clean_prompt("a&rsquo;s\n<b> b&rsquo;s\nc&rsquo;s"),
            "a's <b> b\xe2\x80\x99s c\xe2\x80\x99s");
}

}  // namespace
}  // namespace sparsevid
