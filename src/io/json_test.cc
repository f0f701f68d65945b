#include "io/json.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

Json document(const std::string& text) { return Json::parse(text, "config.json"); }

TEST(Json, ReadsEachTypeItIsAskedFor) {
  const auto json = document(R"({"i": 3, "whole": 4.0, "x": 2.5, "yes": true, "name": "wan",
      "list": [1, 2], "numbers": [0.5, 1], "flags": [true, false], "words": ["a", "b"],
      "inner": {"depth": {"value": 7}}, "nothing": null})");
  EXPECT_EQ(json.get_int("i", 0, 10), 3);
  EXPECT_EQ(json.get_int("whole", 0, 10), 4);
  EXPECT_EQ(json.get_double("x", 0, 10), 2.5);
  EXPECT_EQ(json.get_double("i", 0, 10), 3.0);
  EXPECT_TRUE(json.get_bool("yes"));
  EXPECT_EQ(json.get_string("name"), "wan");
  EXPECT_EQ(json.get_ints("list", 0, 5), (std::vector<int>{1, 2}));
  EXPECT_EQ(json.get_doubles("numbers", 0, 5), (std::vector<double>{0.5, 1}));
  EXPECT_EQ(json.get_bools("flags"), (std::vector<bool>{true, false}));
  EXPECT_EQ(json.get_strings("words"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(json.object("inner").object("depth").get_int("value", 0, 9), 7);
  EXPECT_EQ(json.object("inner").keys(), (std::vector<std::string>{"depth"}));
}

TEST(Json, AbsentAndNullKeysTakeTheFallback) {
  const auto json = document(R"({"nothing": null})");
  for (const auto* key : {"nothing", "absent"}) {
    EXPECT_FALSE(json.has(key));
    EXPECT_EQ(json.get_int(key, 5, 0, 9), 5);
    EXPECT_EQ(json.get_double(key, 0.5, 0, 9), 0.5);
    EXPECT_TRUE(json.get_bool(key, true));
    EXPECT_EQ(json.get_string(key, "t2v"), "t2v");
  }
}

TEST(Json, AnInnerObjectOutlivesItsDocument) {
  const auto inner = [] { return document(R"({"a": {"b": "text"}})").object("a"); }();
  EXPECT_EQ(inner.get_string("b"), "text");
}

TEST(Json, EveryFailureNamesFileKeyExpectationAndFinding) {
  const auto json = document(R"({"i": 3, "x": 2.5, "yes": true, "name": "wan", "list": [1, "b"],
      "big": 5000000000, "huge": 1e300, "unsigned": 18446744073709551615, "nothing": null,
      "inner": {"value": "text"}})");
  struct Case {
    std::function<void()> read;
    std::string message;
  };
  const std::vector<Case> cases = {
      {[&] { json.get_int("absent", 0, 1); }, "config.json: key 'absent' is missing"},
      {[&] { json.get_string("nothing"); },
       "config.json: key 'nothing': expected a value, found null"},
      {[&] { json.get_int("i", 4, 9); },
       "config.json: key 'i': expected a whole number in [4, 9], found 3"},
      {[&] { json.get_int("i", 9, 0, 2); },
       "config.json: key 'i': expected a whole number in [0, 2], found 3"},
      {[&] { json.get_int("x", 0, 9); },
       "config.json: key 'x': expected a whole number in [0, 9], found 2.5"},
      {[&] { json.get_int("yes", 0, 9); },
       "config.json: key 'yes': expected a whole number in [0, 9], found true"},
      {[&] { json.get_int("name", 0, 9); },
       "config.json: key 'name': expected a whole number in [0, 9], found \"wan\""},
      {[&] { json.get_int("big", 0, 9); },
       "config.json: key 'big': expected a whole number in [0, 9], found 5000000000"},
      {[&] { json.get_int("unsigned", 0, 9); },
       "config.json: key 'unsigned': expected a whole number in [0, 9], found "
       "18446744073709551615"},
      {[&] { json.get_int("huge", 0, 9); },
       "config.json: key 'huge': expected a whole number in [0, 9], found 1e+300"},
      {[&] { json.get_double("x", 0, 1); },
       "config.json: key 'x': expected a number in [0, 1], found 2.5"},
      {[&] { json.get_double("name", 0, 1); },
       "config.json: key 'name': expected a number in [0, 1], found \"wan\""},
      {[&] { json.get_bool("i"); }, "config.json: key 'i': expected true or false, found 3"},
      {[&] { json.get_string("i"); }, "config.json: key 'i': expected a string, found 3"},
      {[&] { json.get_string("list"); },
       "config.json: key 'list': expected a string, found an array of 2"},
      {[&] { json.get_ints("i", 0, 9); },
       "config.json: key 'i': expected an array of whole numbers, found 3"},
      {[&] { json.get_ints("list", 0, 9); },
       "config.json: key 'list[1]': expected a whole number in [0, 9], found \"b\""},
      {[&] { json.object("i"); }, "config.json: key 'i': expected an object, found 3"},
      {[&] { json.object("inner").get_int("value", 0, 9); },
       "config.json: inner: key 'value': expected a whole number in [0, 9], found \"text\""},
      {[&] { document("[1]").get_int("i", 0, 9); },
       "config.json: expected an object, found an array of 1"},
  };
  for (const auto& item : cases) EXPECT_EQ(error_of(ErrorKind::bad_file, item.read), item.message);
}

TEST(Json, BrokenTextIsReportedWithLineAndColumn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "config.json: broken JSON at line 1, column 1"},
      {"{\n  \"a\": 1,\n  \"b\" 2\n}", "config.json: broken JSON at line 3, column 7"},
      {"{\"a\": 1", "config.json: broken JSON at line 1, column 8"},
      {"{\"a\": nan}", "config.json: broken JSON at line 1, column 8"},
      {"{} x", "config.json: broken JSON at line 1, column 4"},
      {"{\"a\": \"\xff\"}", "config.json: broken JSON at line 1, column 8"},
      {"{\"a\": \"\n\"}", "config.json: broken JSON at line 1, column"},
      {"{\"a\": 1e999}", "config.json: broken JSON: number overflow"},
      {"\xef\xbb", "config.json: broken JSON"},
  };
  for (const auto& [text, start] : cases) {
    const auto message = error_of(ErrorKind::bad_file, [&, t = text] { document(t); });
    EXPECT_TRUE(message.starts_with(start)) << message;
    EXPECT_LT(message.size(), 300U) << message;
  }
}

TEST(Json, DeepNestingDoesNotExhaustTheStack) {
  const std::string open(200'000, '[');
  error_of(ErrorKind::bad_file, [&] { document(open); });
  EXPECT_TRUE(document(open + std::string(200'000, ']')).raw().is_array());
}

TEST(Json, LongAndOddValuesKeepTheMessageOnOneLine) {
  const auto json = document(fmt::format(R"({{"a": "{:x>5000}", "b": "two\nlines\u2028"}})", ""));
  EXPECT_LT(error_of(ErrorKind::bad_file, [&] { json.get_bool("a"); }).size(), 200U);
  error_of(ErrorKind::bad_file, [&] { json.get_bool("b"); });
}

TEST(Json, FilesThatCannotBeReadAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { Json::read(folder / "none.json"); }),
            (folder / "none.json").string() + ": no such file");
  error_of(ErrorKind::bad_file, [&] { Json::read(folder.path()); });
  error_of(ErrorKind::bad_file, [&] { Json::read(""); });
  error_of(ErrorKind::bad_file, [&] { Json::read(folder.write("empty.json", "")); });
  const auto path = folder.write("config.json", R"({"a": 1})");
  EXPECT_EQ(Json::read(path).get_int("a", 0, 1), 1);
  EXPECT_EQ(Json::read(path).where(), path.string());
}

}  // namespace
}  // namespace sparsevid
