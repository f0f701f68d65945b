#include "io/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "io/safetensors.h"
#include "testing/expect_error.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// Lets no file grow beyond `bytes`: writing then fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const TemporaryFolder folder;
  const auto target = folder / "clip.mp4";
  {
    AtomicFile file(target);
    EXPECT_EQ(file.temporary().extension(), ".mp4");
    EXPECT_EQ(file.temporary().parent_path(), folder.path());
    std::ofstream(file.temporary()) << "new";
    EXPECT_FALSE(std::filesystem::exists(target));
    file.commit();
  }
  EXPECT_EQ(read_bytes(target), "new");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, WithoutCommitTheOldFileStaysAndNothingIsLeft) {
  const TemporaryFolder folder;
  const auto target = folder.write("clip.mp4", "old");
  {
    const AtomicFile file(target);
    std::ofstream(file.temporary()) << "half";
  }
  EXPECT_EQ(read_bytes(target), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, AFolderIsRenamedAsAWhole) {
  const TemporaryFolder folder;
  for (const bool wanted : {true, false}) {
    AtomicFile file(folder / (wanted ? "frames" : "dropped"));
    std::filesystem::create_directory(file.temporary());
    std::ofstream(file.temporary() / "0.png") << "x";
    if (wanted) file.commit();
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "frames" / "0.png"));
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, ImpossibleTargetsAreNamedBeforeAnyWork) {
  const TemporaryFolder folder;
  folder.write("file", "x");
  EXPECT_EQ(error_of(ErrorKind::bad_input, [&] { check_output_path(folder / "none/clip.mp4"); }),
            (folder / "none/clip.mp4").string() + ": the output folder " +
                (folder / "none").string() + " does not exist");
  const auto blocked =
      error_of(ErrorKind::bad_input, [&] { check_output_path(folder / "file/clip.mp4"); });
  EXPECT_NE(blocked.find("to be a folder, found a file"), std::string::npos) << blocked;
  error_of(ErrorKind::bad_input, [&] { check_output_path(folder.path()); });
  error_of(ErrorKind::bad_input, [&] { check_output_path(folder / "frames/"); });
  error_of(ErrorKind::bad_input, [&] { check_output_path(""); });
  check_output_path(folder / "clip.mp4");
  check_output_path(folder / "file");
  check_output_path("clip.mp4");  // relative: the current folder
}

TEST(AtomicFile, DevicesAndPipesAreNoPlaceForAFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe.json").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/null", folder / "null.json");
  for (const auto* name : {"pipe.json", "null.json"}) {
    const auto message = error_of(ErrorKind::bad_input, [&] { check_output_path(folder / name); });
    EXPECT_NE(message.find("expected a file, found a device, pipe or socket"), std::string::npos)
        << message;
  }
}

TEST(AtomicFile, ALinkStaysALinkAndTheFileBehindItIsReplaced) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "disk");
  folder.write("disk/old.mp4", "old");
  std::filesystem::create_symlink("disk/old.mp4", folder / "old.mp4");
  std::filesystem::create_symlink((folder / "disk" / "new.mp4"), folder / "new.mp4");
  std::filesystem::create_symlink("new.mp4", folder / "again.mp4");
  for (const std::string name : {"old.mp4", "again.mp4"}) {
    AtomicFile file(folder / name);
    EXPECT_EQ(file.temporary().parent_path(), folder / "disk");
    std::ofstream(file.temporary()) << name;
    file.commit();
    EXPECT_TRUE(std::filesystem::is_symlink(folder / name));
    EXPECT_EQ(read_bytes(folder / name), name);
  }
  std::filesystem::create_symlink("none/clip.mp4", folder / "lost.mp4");
  std::filesystem::create_symlink("round.mp4", folder / "round.mp4");
  for (const std::string name : {"lost.mp4", "round.mp4"})
    error_of(ErrorKind::bad_input, [&] { check_output_path(folder / name); });
}

TEST(AtomicFile, ANameThatLeavesNoRoomForTheTemporaryOneIsRefused) {
  const TemporaryFolder folder;
  const auto longest = static_cast<std::size_t>(pathconf(folder.path().c_str(), _PC_NAME_MAX));
  const auto message = error_of(ErrorKind::bad_input, [&] {
    check_output_path(folder / (std::string(longest - 4, 'n') + ".mp4"));
  });
  EXPECT_NE(message.find("found " + std::to_string(longest)), std::string::npos) << message;
  const auto most = std::stoul(message.substr(message.find("at most ") + 8));
  AtomicFile file(folder / (std::string(most - 4, 'n') + ".mp4"));
  std::ofstream(file.temporary()) << "x";
  file.commit();
  EXPECT_EQ(files_in(folder.path()), 1U);
}

// In a child process that gives up root, who may write everywhere.
TEST(AtomicFileDeathTest, FoldersWithoutPermissionAreRefused) {
  const TemporaryFolder folder;
  chmod(folder.path().c_str(), 0755);
  for (const auto* name : {"locked", "hidden"}) {
    std::filesystem::create_directories(folder / name / "inner");
  }
  chmod((folder / "locked").c_str(), 0555);
  chmod((folder / "hidden").c_str(), 0000);
  const auto refused_with = [&](const std::string& path, const std::string& expected) {
    constexpr uid_t kNobody = 65534;
    if (geteuid() == 0 && setuid(kNobody) != 0) std::_Exit(2);
    const auto message = error_of(ErrorKind::bad_input, [&] { check_output_path(folder / path); });
    std::_Exit(message.find(expected) != std::string::npos ? 0 : 1);
  };
  std::filesystem::create_directory(folder / "shared");
  chmod((folder / "shared").c_str(), 01777);
  folder.write("shared/theirs.mp4", "x");
  if (geteuid() == 0) {  // else there is no file of another user
    EXPECT_EXIT(refused_with("shared/theirs.mp4", "belongs to another user"),
                ::testing::ExitedWithCode(0), "");
  }
  EXPECT_EXIT(refused_with("locked/clip.mp4", "is not writable"), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(refused_with("hidden/inner/clip.mp4", "cannot be looked at"),
              ::testing::ExitedWithCode(0), "");
  chmod((folder / "hidden").c_str(), 0700);
}

TEST(WriteFile, JoinsItsPartsAndReplacesAnOldFile) {
  const TemporaryFolder folder;
  const auto path = folder.write("run.json", "a much longer old text");
  write_file(path, {"{", "", "}\n"});
  EXPECT_EQ(read_bytes(path), "{}\n");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(WriteFile, WhenWritingFailsTheOldFileStaysAndNothingIsLeft) {
  const TemporaryFolder folder;
  const auto path = folder.write("latents.safetensors", "old");
  const auto latents = random_tensor({64, 1024}, 1);
  std::string message;
  {
    const FileSizeLimit limit(64 * 1024);
    message = error_of(ErrorKind::io, [&] { write_safetensors(path, {{"latents", latents}}); });
  }
  EXPECT_NE(message.find("writing failed"), std::string::npos) << message;
  EXPECT_EQ(read_bytes(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(WriteFile, MoreThanTheFreeSpaceIsRefusedBeforeWriting) {
  const TemporaryFolder folder;
  const auto available = free_disk_space(folder.path());
  EXPECT_GT(available, 0U);
  // A view larger than the disk; it is never read, because the size is compared first.
  const char byte = 'x';
  const std::string_view huge(&byte, available + (1ULL << 40U));
  const auto message = error_of(ErrorKind::io, [&] { write_file(folder / "huge", {huge}); });
  EXPECT_NE(message.find("are free on the disk"), std::string::npos) << message;
  EXPECT_EQ(files_in(folder.path()), 0U);
}

TEST(FreeDiskSpace, IsKnownForFilesThatDoNotExistYet) {
  const TemporaryFolder folder;
  EXPECT_GT(free_disk_space(folder / "later.mp4"), 0U);
  EXPECT_GT(free_disk_space(folder / "frames/"), 0U);
  error_of(ErrorKind::io, [&] { free_disk_space(folder / "none/later.mp4"); });
}

}  // namespace
}  // namespace sparsevid
