-- Names are data: backticks, quotes, percent signs, colons, YAML's and HTML's marks, other scripts and reserved words pass through unchanged.
CREATE TABLE `order` (
  `select` bigint(20) NOT NULL AUTO_INCREMENT,
  `from` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`select`)
) ENGINE=MyISAM;

CREATE TABLE `a``b` (
  `c``d` bigint(20) NOT NULL,
  `it's` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`c``d`),
  KEY `k``ey` (`it's`)
) ENGINE=MyISAM;

CREATE TABLE `say "no"` (
  `back\slash` int(11) NOT NULL,
  `"quoted"` varchar(20) DEFAULT 'it''s \\ %s',
  PRIMARY KEY (`back\slash`)
) ENGINE=MyISAM;

CREATE TABLE `100%s %(x)s %` (
  `%` int(11) NOT NULL,
  `:colon` datetime NOT NULL,
  PRIMARY KEY (`%`)
) ENGINE=MyISAM;

CREATE TABLE `</script><b>` (
  `<!--` int(11) NOT NULL,
  `&amp;` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`<!--`)
) ENGINE=MyISAM;

CREATE TABLE `naïve 表` (
  `Größe` int(11) NOT NULL,
  `日付` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Größe`)
) ENGINE=MyISAM;

CREATE TABLE `yes` (
  `null` int(11) NOT NULL,
  `- a: b # c` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`null`)
) ENGINE=MyISAM;

CREATE TABLE `2024-01-01` (
  `1e3` int(11) NOT NULL,
  PRIMARY KEY (`1e3`)
) ENGINE=MyISAM;

CREATE TABLE `=cmd|' /C calc'!A1` (
  `;DROP` int(11) NOT NULL,
  PRIMARY KEY (`;DROP`)
) ENGINE=MyISAM;

CREATE TABLE `ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé1` (
  `Num` int(11) NOT NULL,
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;
