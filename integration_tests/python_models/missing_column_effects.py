def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "missing_column",
        dbt.config.meta_get("study"),
        units=dbt.ref("missing_column_units"),
        scores=dbt.ref("missing_column_scores"),
        gates=dbt.ref("missing_column_gates"),
        session=session,
    )
