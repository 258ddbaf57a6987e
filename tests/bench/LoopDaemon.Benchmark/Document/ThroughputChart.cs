using LoopDaemon.Benchmark.Jobs;
using LoopDaemon.Benchmark.Results;
using LoopDaemon.Benchmark.Targets;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace LoopDaemon.Benchmark.Document;

/// <summary>Ratios to the kernel's loop device as bars: a group for each configuration, a colour for each job that runs past
/// the page cache.</summary>
internal sealed class ThroughputChart
{
    /// <summary>The names of all charts, as a pattern.</summary>
    internal const string Files = "throughput-*.svg";

    private const double Least = 1.0 / 32, Greatest = 32;
    private const int Width = 960, HeightOfGroup = 78, HeightAround = 190;

    /// <summary>Okabe and Ito's, which the colour-blind can tell apart.</summary>
    private static readonly string[] Colours = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9"];

    private readonly ThroughputTable _table;
    private readonly IReadOnlyList<Target> _targets;
    private readonly string _title;

    private ThroughputChart(string fileName, string title, ThroughputTable table, IReadOnlyList<Target> targets)
    {
        FileName = fileName;
        _title = title;
        _table = table;
        _targets = targets;
    }

    internal string FileName { get; }

    /// <summary>The charts of a run: for each place, one of the exposed files and one with a loop device on top.</summary>
    internal static IEnumerable<ThroughputChart> All(BenchmarkResults results) =>
        results.Places.SelectMany(place => new[] { false, true }.Select(loopOnTop => For(results, place, loopOnTop))).OfType<ThroughputChart>();

    /// <summary>One chart, or null if nothing was measured for it.</summary>
    internal static ThroughputChart? For(BenchmarkResults results, PlaceDescription place, bool loopOnTop)
    {
        var table = new ThroughputTable(results, place.Id);
        Target[] targets = [.. table.Targets(loopOnTop).Where(target => target.Configuration != Configurations.Baseline)];
        if (!targets.Any(target => target.Configuration.IsFuse && table.Jobs.Any(job => job.Kind == JobKind.Timed && table.RatioToBaseline(target.Id, job) is not null)))
            return null;
        return new ThroughputChart(
            $"throughput-{place.Id}-{(loopOnTop ? "loop" : "exposed")}.svg",
            (loopOnTop ? "A kernel loop device on the exposed file" : "The exposed file") + $", images on {place.FileSystem}", table, targets);
    }

    internal string ToSvg()
    {
        var model = new PlotModel
        {
            Title = _title,
            Subtitle = "throughput as a multiple of the kernel's loop device (direct I/O on) on the raw image; O_DIRECT, medians",
            TitleFontSize = 16,
            SubtitleFontSize = 12,
            DefaultFont = "Arial",
            Background = OxyColors.White,
            Padding = new OxyThickness(16, 24, 24, 8),
        };
        var groups = new CategoryAxis { Key = "configuration", Position = AxisPosition.Left, StartPosition = 1, EndPosition = 0, GapWidth = 0.4, AxisTickToLabelDistance = 8 };
        groups.Labels.AddRange(_targets.Select(target => target.Configuration.Title));
        model.Axes.Add(groups);
        model.Axes.Add(new LogarithmicAxis
        {
            Key = "ratio",
            Position = AxisPosition.Bottom,
            Base = 2,
            Minimum = LowerEnd(),
            Maximum = UpperEnd(),
            MajorGridlineStyle = LineStyle.Solid,
            MajorGridlineColor = OxyColors.LightGray,
            LabelFormatter = ratio => FormattableString.Invariant($"{ratio:0.###} x"),
            Title = "ratio (logarithmic): to the right of 1 is faster than the kernel's loop device",
            TitleFontSize = 12,
        });
        foreach ((ThroughputJob job, string colour) in _table.Jobs.Where(job => job.Kind == JobKind.Timed).Zip(Colours))
            model.Series.Add(Bars(job, OxyColor.Parse(colour)));
        model.Annotations.Add(new LineAnnotation { Type = LineAnnotationType.Vertical, X = 1, Color = OxyColors.Black, LineStyle = LineStyle.Solid, StrokeThickness = 1.5 });
        model.Legends.Add(new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.BottomCenter, LegendOrientation = LegendOrientation.Horizontal, LegendFontSize = 12 });
        var exporter = new SvgExporter
        {
            Width = Width,
            Height = HeightAround + (_targets.Count * HeightOfGroup),
            IsDocument = true,
            // Not every viewer knows SVG's dominant-baseline.
            UseVerticalTextAlignmentWorkaround = true,
            TextMeasurer = new RoomyText(),
        };
        return exporter.ExportToString(model);
    }

    private BarSeries Bars(ThroughputJob job, OxyColor colour)
    {
        var bars = new BarSeries
        {
            Title = job.Title,
            FillColor = colour,
            StrokeThickness = 0,
            BaseValue = 1,
            XAxisKey = "ratio",
            YAxisKey = "configuration",
        };
        for (int i = 0; i < _targets.Count; i++)
        {
            if (_table.RatioToBaseline(_targets[i].Id, job) is not { } ratio)
                continue;
            bars.Items.Add(new BarItem(Math.Clamp(ratio, Least, Greatest), i));
        }
        return bars;
    }

    private IEnumerable<double> Ratios() =>
        _targets.SelectMany(target => _table.Jobs.Where(job => job.Kind == JobKind.Timed).Select(job => _table.RatioToBaseline(target.Id, job))).OfType<double>();

    /// <summary>The axis has several powers of two at least: over fewer its marks would not be powers.</summary>
    private double LowerEnd() => Math.Max(Least, Math.Pow(2, Math.Floor(Math.Log2(Math.Min(1.0 / 8, Ratios().Min())))));

    private double UpperEnd() => Math.Min(Greatest, Math.Pow(2, Math.Ceiling(Math.Log2(Math.Max(8, Ratios().Max())))));

    /// <summary>Leaves room around the letters: what a viewer takes for Arial is often wider and higher.</summary>
    private sealed class RoomyText() : PdfRenderContext(Width, Width, OxyColors.White)
    {
        public override OxySize MeasureText(string text, string fontFamily, double fontSize, double fontWeight)
        {
            OxySize tight = base.MeasureText(text, fontFamily, fontSize, fontWeight);
            return new OxySize(tight.Width * 1.5, tight.Height * 1.4);
        }
    }
}
