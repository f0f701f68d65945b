// Decoding: a source for containers, another for folders of PNG files.
#include "io/video_reader.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/video_av.h"
#include "io/video_format.h"
#include "io/video_metadata.h"

namespace sparsevid {

namespace {

namespace fs = std::filesystem;

struct InputDeleter {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
using AvInput = std::unique_ptr<AVFormatContext, InputDeleter>;

AvInput open_input(const fs::path& path) {
  silence_av_log();
  std::error_code error;
  require(fs::exists(path, error), ErrorKind::bad_file, "{}: no such video or folder",
          path.string());
  AVFormatContext* opened = nullptr;
  int code = avformat_open_input(&opened, av_url(path).c_str(), nullptr, nullptr);
  AvInput input(opened);
  if (code >= 0) code = avformat_find_stream_info(input.get(), nullptr);
  require(code >= 0, ErrorKind::bad_file, "{}: not a video: {}", path.string(),
          av_error_text(code));
  return input;
}

std::vector<fs::path> png_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".png" && entry->is_regular_file(error))
      files.push_back(entry->path());
  require(!error, ErrorKind::bad_file, "{}: cannot read the folder: {}", folder.string(),
          error.message());
  require(!files.empty(), ErrorKind::bad_file, "{}: a folder without *.png frames",
          folder.string());
  // By length first, so that frame_10000 follows frame_9999.
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    const std::string& left = a.native();
    const std::string& right = b.native();
    return left.size() != right.size() ? left.size() < right.size() : left < right;
  });
  return files;
}

}  // namespace

class VideoReader::Source {
 public:
  virtual ~Source() = default;
  virtual bool next(Image& frame) = 0;

  int width = 0;
  int height = 0;
  double fps = 0;
  std::int64_t frame_count = 0;
};

namespace {

class PngFolderSource : public VideoReader::Source {
 public:
  explicit PngFolderSource(const fs::path& folder) : files_(png_files(folder)) {
    const Image first = read_image(files_.front());
    width = first.width;
    height = first.height;
    frame_count = static_cast<std::int64_t>(files_.size());
  }

  bool next(Image& frame) override {
    if (position_ == files_.size()) return false;
    const fs::path& file = files_[position_++];
    frame = read_image(file);
    require(frame.width == width && frame.height == height, ErrorKind::bad_file,
            "{}: expected {} x {} as in the first frame, found {} x {}", file.string(), width,
            height, frame.width, frame.height);
    return true;
  }

 private:
  std::vector<fs::path> files_;
  std::size_t position_ = 0;
};

class ContainerSource : public VideoReader::Source {
 public:
  explicit ContainerSource(const fs::path& path) : path_(path), input_(open_input(path)) {
    const AVCodec* decoder = nullptr;
    stream_ = av_find_best_stream(input_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    require(stream_ >= 0 && decoder != nullptr, ErrorKind::bad_file,
            "{}: holds no video stream that can be decoded", path.string());
    const AVStream& stream = *input_->streams[stream_];
    codec_.reset(avcodec_alloc_context3(decoder));
    int code = avcodec_parameters_to_context(codec_.get(), stream.codecpar);
    codec_->thread_count = 0;
    codec_->pkt_timebase = stream.time_base;
    if (code >= 0) code = avcodec_open2(codec_.get(), decoder, nullptr);
    require(code >= 0, ErrorKind::bad_file, "{}: cannot decode {}: {}", path.string(),
            decoder->name, av_error_text(code));
    width = stream.codecpar->width;
    height = stream.codecpar->height;
    fps = av_q2d(stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate);
    frame_count = stream.nb_frames > 0 ? stream.nb_frames : count_packets();
  }

  bool next(Image& image) override {
    for (;;) {
      const int code = avcodec_receive_frame(codec_.get(), frame_.get());
      if (code == AVERROR_EOF) return false;
      if (code != AVERROR(EAGAIN)) {
        check(code);
        break;
      }
      send_packet();
    }
    require(frame_->width == width && frame_->height == height, ErrorKind::bad_file,
            "{}: the size changes from {} x {} to {} x {}", path_.string(), width, height,
            frame_->width, frame_->height);
    to_rgb_.convert(*frame_, image);
    return true;
  }

 private:
  void check(int code) const {
    require(code >= 0, ErrorKind::bad_file, "{}: broken video: {}", path_.string(),
            av_error_text(code));
  }

  // Sends the next packet of the video, or the end of the stream.
  void send_packet() {
    int code = 0;
    do {
      av_packet_unref(packet_.get());
      code = av_read_frame(input_.get(), packet_.get());
    } while (code >= 0 && packet_->stream_index != stream_);
    if (code != AVERROR_EOF) check(code);
    if (code >= 0 && (packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) check(AVERROR_INVALIDDATA);
    check(avcodec_send_packet(codec_.get(), code == AVERROR_EOF ? nullptr : packet_.get()));
  }

  std::int64_t count_packets() const {
    const AvInput input = open_input(path_);
    const AvPacket packet = new_av_packet();
    std::int64_t count = 0;
    while (av_read_frame(input.get(), packet.get()) >= 0) {
      if (packet->stream_index == stream_ && (packet->flags & AV_PKT_FLAG_DISCARD) == 0) ++count;
      av_packet_unref(packet.get());
    }
    return count;
  }

  fs::path path_;
  AvInput input_;
  AvCodec codec_;
  int stream_ = -1;
  AvPacket packet_ = new_av_packet();
  AvFrame frame_ = new_av_frame();
  FrameToRgb to_rgb_;
};

std::unique_ptr<VideoReader::Source> open_source(const fs::path& path) {
  if (is_folder(path)) return std::make_unique<PngFolderSource>(path);
  return std::make_unique<ContainerSource>(path);
}

}  // namespace

VideoReader::VideoReader(const fs::path& path) : source_(open_source(path)) {}
VideoReader::~VideoReader() = default;

int VideoReader::width() const { return source_->width; }
int VideoReader::height() const { return source_->height; }
double VideoReader::fps() const { return source_->fps; }
std::int64_t VideoReader::frame_count() const { return source_->frame_count; }
bool VideoReader::next(Image& frame) { return source_->next(frame); }

Metadata read_video_metadata(const fs::path& path) {
  Metadata metadata;
  if (is_folder(path)) {
    read_image(png_files(path).front(), &metadata);
    return metadata;
  }
  if (path.extension() == ".png") {
    read_image(path, &metadata);
    return metadata;
  }
  const AvInput input = open_input(path);
  const AVDictionary* tags = input->metadata;
  // Matroska gives keys back in capitals; av_dict_get ignores case.
  if (const AVDictionaryEntry* comment = av_dict_get(tags, "comment", nullptr, 0))
    metadata = metadata_from_comment(comment->value);
  if (!metadata.empty()) return metadata;
  const AVDictionaryEntry* tag = nullptr;
  while ((tag = av_dict_get(tags, "", tag, AV_DICT_IGNORE_SUFFIX)) != nullptr)
    metadata[tag->key] = tag->value;
  return metadata;
}

}  // namespace sparsevid
