// SPDX-License-Identifier: Apache-2.0
#include "watch/tensorboard_values.h"

#include <cmath>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "watch/event_file.h"
#include "watch/job_settings.h"
#include "watch/run_points.h"

namespace monsoon {
namespace {

// How many settings are likely to be what somebody compares.
constexpr int kShown = 6;

double Seconds(absl::Time time) {
  return absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

// A value of a tag that is all about its metadata. Without a tensor some
// readers drop it.
void AddContent(const std::string& tag, const tb::HParams& content,
                tb::Summary& to) {
  tb::Summary::Value& value = *to.add_value();
  value.set_tag(absl::StrCat("_hparams_/", tag));
  value.mutable_tensor()->set_dtype(tb::Tensor::FLOAT);
  value.mutable_tensor()->mutable_shape()->add_dim()->set_size(0);
  tb::Summary::Metadata& metadata = *value.mutable_metadata();
  metadata.set_data_class(tb::Summary::Metadata::TENSOR);
  metadata.mutable_plugin()->set_plugin_name("hparams");
  metadata.mutable_plugin()->set_content(content.SerializeAsString());
}

tb::HParams::HParam::Type TypeOf(const JobSetting& setting) {
  constexpr tb::HParams::HParam::Type kTypes[] = {tb::HParams::HParam::STRING,
                                                  tb::HParams::HParam::BOOL,
                                                  tb::HParams::HParam::FLOAT64};
  return kTypes[setting.value().index()];
}

google::protobuf::Value ValueOf(const JobSetting& setting) {
  google::protobuf::Value to;
  const auto value = setting.value();
  if (const double* number = std::get_if<double>(&value)) {
    to.set_number_value(*number);
  } else if (const bool* flag = std::get_if<bool>(&value)) {
    to.set_bool_value(*flag);
  } else {
    to.set_string_value(setting.text);
  }
  return to;
}

// Jobs that differ in their seed alone have the same: TensorBoard shows their
// mean.
std::string GroupOf(const std::vector<JobSetting>& settings) {
  std::string all;
  for (const JobSetting& setting : settings) {
    if (setting.name == "seed") continue;
    absl::StrAppend(&all, setting.name, "=", setting.text, "\n");
  }
  std::string name;
  for (size_t i = 0; i < settings.size() && i < 3; ++i) {
    absl::StrAppend(&name, settings[i].text, "-");
  }
  return absl::StrFormat("%s%08x", name, Crc32c(all));
}

void AddResult(const std::string& tag, const std::string& shown,
               tb::HParams::Experiment& to) {
  tb::HParams::Metric& metric = *to.add_metrics();
  metric.mutable_name()->set_tag(tag);
  metric.set_display_name(shown);
}

}  // namespace

void AddScalar(const std::string& tag, double value, tb::Summary& to) {
  if (!std::isfinite(value)) return;
  tb::Summary::Value& scalar = *to.add_value();
  scalar.set_tag(tag);
  scalar.set_simple_value(static_cast<float>(value));
}

void AddHistogram(const std::string& tag, const BucketedValues& values,
                  tb::Summary& to) {
  tb::Summary::Value& value = *to.add_value();
  value.set_tag(tag);
  tb::Summary::Metadata& metadata = *value.mutable_metadata();
  metadata.set_data_class(tb::Summary::Metadata::TENSOR);
  metadata.mutable_plugin()->set_plugin_name("histograms");
  tb::Tensor& tensor = *value.mutable_tensor();
  tensor.set_dtype(tb::Tensor::DOUBLE);
  tensor.mutable_shape()->add_dim()->set_size(
      static_cast<int64_t>(values.buckets.size()));
  tensor.mutable_shape()->add_dim()->set_size(3);
  for (const BucketedValues::Bucket& bucket : values.buckets) {
    tensor.add_double_val(bucket.left);
    tensor.add_double_val(bucket.right);
    tensor.add_double_val(bucket.count);
  }
}

void AddHParams(const pb::JobSpec& spec, absl::Time start, tb::Summary& to) {
  const std::vector<JobSetting> settings = SettingsOf(spec);
  // Where many runs are looked at together, TensorBoard takes the experiment of
  // any of them: so all have the same, but for their trainer's own settings.
  tb::HParams about;
  tb::HParams::Experiment& experiment = *about.mutable_experiment();
  experiment.set_name("Monsoon");
  experiment.set_time_created_secs(Seconds(start));
  tb::HParams begin;
  tb::HParams::SessionStart& session = *begin.mutable_session_start();
  for (const JobSetting& setting : settings) {
    tb::HParams::HParam& hparam = *experiment.add_hparams();
    hparam.set_name(setting.name);
    hparam.set_type(TypeOf(setting));
    // The few that TensorBoard shows unasked.
    hparam.set_differs(experiment.hparams_size() <= kShown);
    (*session.mutable_hparams())[setting.name] = ValueOf(setting);
  }
  AddResult(kTestAccuracy, "test accuracy", experiment);
  AddResult(kElapsed, "elapsed seconds", experiment);
  AddResult(kSamplesPerSecond, "samples/s", experiment);
  AddContent("experiment", about, to);
  session.set_group_name(GroupOf(settings));
  session.set_start_time_secs(Seconds(start));
  AddContent("session_start_info", begin, to);
}

void AddHParamsEnd(bool is_done, absl::Time end, tb::Summary& to) {
  tb::HParams about;
  tb::HParams::SessionEnd& session = *about.mutable_session_end();
  session.set_status(is_done ? tb::HParams::SessionEnd::SUCCESS
                             : tb::HParams::SessionEnd::FAILURE);
  session.set_end_time_secs(Seconds(end));
  AddContent("session_end_info", about, to);
}

}  // namespace monsoon
