#include "io/mapped_file.h"

#include <gtest/gtest.h>

#include <utility>

#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

TEST(MappedFile, GivesTheBytesOfTheFile) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", std::string("x\0y", 3)));
  EXPECT_EQ(file.text(), std::string_view("x\0y", 3));
}

TEST(MappedFile, AnEmptyFileIsEmpty) {
  const TemporaryFolder folder;
  EXPECT_EQ(MappedFile(folder.write("a", "")).size(), 0U);
}

TEST(MappedFile, APlaceholderOfGitLfsIsNotTheFile) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  const auto message = error_of(ErrorKind::bad_file, [&] { MappedFile{path}; });
  EXPECT_NE(message.find("git lfs pull"), std::string::npos) << message;
}

TEST(MappedFile, MovingKeepsTheBytesWhereTheyAre) {
  const TemporaryFolder folder;
  MappedFile first(folder.write("a", "abc"));
  const auto* data = first.data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.data(), data);
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.text(), "abc");
}

TEST(MappedFile, StaysReadableAfterTheNameIsGone) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", "abc"));
  std::filesystem::remove(folder / "a");
  EXPECT_EQ(file.text(), "abc");
}

TEST(MappedFile, WhatIsNoFileIsRefused) {
  const TemporaryFolder folder;
  error_of(ErrorKind::bad_file, [&] { MappedFile{folder / "none"}; });
  error_of(ErrorKind::bad_file, [&] { MappedFile{folder.path()}; });
  error_of(ErrorKind::bad_file, [&] { MappedFile{"/dev/zero"}; });
}

}  // namespace
}  // namespace sparsevid
