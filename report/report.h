// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "report/run_summary.h"
#include "report/table.h"

namespace monsoon {

// What a report says, whatever it is written as: the calculations are done, and
// HTML, Markdown and JSON show the same. Values all through.

// One mark of a chart. NaN in `y` is a mark without a value, whose note says
// why: "failed".
struct ChartPoint {
  double x =
      std::numeric_limits<double>::quiet_NaN();  // or place of a category
  double y = std::numeric_limits<double>::quiet_NaN();
  // Of repeats, the ends of its whisker; or NaN.
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::string note;
};

// Marks of one colour and shape.
struct ChartSeries {
  std::string name;
  int style = 0;        // the same for a name all over the report
  std::string facet;    // what a reader may choose among: "batch 64"; "" always
  bool joined = false;  // by a line
  bool guide = false;   // no measurement: where the others ought to be
  std::vector<ChartPoint> points;
};

struct ChartAxis {
  std::string label;  // with its unit
  // Where x counts categories, their names.
  std::vector<std::string> categories;
  bool from_zero = true;
};

struct Figure {
  enum Kind { kBars, kDots, kLines };

  std::string id;  // of the element, unique in the report
  std::string title;
  std::string claim;  // a sentence that is computed from the data
  std::string note;   // how to read it; what is not drawn; may be empty
  Kind kind = kBars;
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  Table table;  // its numbers
};

// One of the three answers.
struct Claim {
  std::string title;  // "Fastest"
  std::string what;   // "adag, batch 128"
  std::string value;  // "2.69 s"
  std::string text;   // the sentence
};

// What is compared with each other: the runs of one model, data set and number
// of epochs.
struct Chapter {
  std::string title;
  std::vector<Claim> claims;
  std::vector<Figure> figures;
};

struct Report {
  std::string summary;  // one sentence on what there is
  std::vector<std::string> notices;
  std::vector<Chapter> chapters;
  std::vector<RunSummary> runs;
  Table machines;  // a row per fact, a column per bench; no rows: not known
  std::vector<std::string> rules;
};

}  // namespace monsoon
